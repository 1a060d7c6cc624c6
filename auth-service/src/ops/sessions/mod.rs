//! The part `sessions`: accounts are made, log in, refresh and log out.
//!
//! It touches the tables of accounts, sessions, invitations and login tries, and hashes passwords. Access tokens come
//! from [`tokens`](super::tokens), refresh tokens and CSRF values from [`keys`](super::keys). It sees no private key.
//!
//! - [`register`] — accounts that people make for themselves
//! - [`login`], [`refresh`], [`logout`] — a session's life
//! - [`end`] — the one place that ends a session
//! - [`password`] — its owner changes the password
//! - [`list`] — an account's own sessions
//! - [`me`] — the account that a token belongs to
//! - [`limits`] — how often a login may be tried
//! - [`hashing`] — the threads that hash passwords

pub mod end;
pub mod hashing;
pub mod limits;
pub mod list;
pub mod login;
pub mod logout;
pub mod me;
pub mod password;
pub mod refresh;
pub mod register;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    Context,
    error::{Fault, Overloaded},
    keys::Keys,
    tokens::Tokens,
};
use crate::domain::password::{Password, PasswordHash, Weakness};
use hashing::HashingLane;

/// Accounts log in, refresh and log out.
#[derive(Debug)]
pub struct Sessions {
    context: Context,
    keys: Arc<Keys>,
    tokens: Arc<Tokens>,
    hashing: HashingLane,
    /// How often a spent refresh token has ended a session at this process.
    thefts: AtomicU64,
}

impl Sessions {
    /// Starts the threads that hash passwords.
    #[must_use]
    pub fn new(context: Context, keys: Arc<Keys>, tokens: Arc<Tokens>) -> Self {
        let hashing = HashingLane::new(context.policy.hash_slots, context.policy.hash_queue);
        Self { context, keys, tokens, hashing, thefts: AtomicU64::new(0) }
    }

    /// How often a spent refresh token has ended a session, since this process began.
    #[must_use]
    pub fn thefts(&self) -> u64 {
        self.thefts.load(Ordering::Relaxed)
    }

    /// How many passwords are being hashed, and how many wait.
    #[must_use]
    pub fn hashing_load(&self) -> (usize, usize) {
        self.hashing.load()
    }

    /// Refuses a password that somebody would guess, where people choose one for the account with that address.
    pub(in crate::ops) fn refuse_weak(&self, password: &Password, address: &str) -> Result<(), Weakness> {
        password.weakness(address, &self.context.policy.blocklist).map_or(Ok(()), Err)
    }

    /// Hashes a password with a random salt.
    pub(in crate::ops) async fn hash(
        &self,
        password: Password,
    ) -> Result<Result<PasswordHash, Overloaded>, Fault> {
        self.hashing.hash(password, self.context.random.bytes()?).await
    }
}

#[cfg(test)]
mod tests;
