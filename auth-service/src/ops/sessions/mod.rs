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

use std::sync::Arc;

use super::{
    Context,
    error::{Fault, Overloaded},
    keys::Keys,
    tokens::Tokens,
};
use crate::domain::password::{Password, PasswordHash};
use hashing::HashingLane;

/// Accounts log in, refresh and log out.
#[derive(Debug)]
pub struct Sessions {
    context: Context,
    keys: Arc<Keys>,
    tokens: Arc<Tokens>,
    hashing: HashingLane,
}

impl Sessions {
    /// Starts the threads that hash passwords.
    #[must_use]
    pub fn new(context: Context, keys: Arc<Keys>, tokens: Arc<Tokens>) -> Self {
        let hashing = HashingLane::new(context.policy.hash_slots, context.policy.hash_queue);
        Self { context, keys, tokens, hashing }
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
