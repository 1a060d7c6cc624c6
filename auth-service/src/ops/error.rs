//! How the service refuses or fails. The doors map each variant to their own form, without a catch-all arm, so that the
//! two can't disagree.

use std::time::Duration;

use shared::random;

use crate::{
    domain::{account::InvalidEmail, password::InvalidPassword},
    keys::signing_key::SigningKeyError,
    store::StoreError,
};

/// Why somebody may not make an account for themselves; it is told as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationClosed {
    /// Nobody may.
    #[error("Accounts are made by the operators of this service")]
    ToAll,
    /// Nobody may without an invitation.
    #[error("An invitation is needed to make an account; ask the operators of this service for one")]
    WithoutInvitation,
    /// The invitation is no good, or never was one.
    #[error(
        "The invitation is not good: it was used, has expired, or is for another address; ask for a new one"
    )]
    WithThisInvitation,
}

/// How the service refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong password, unknown or disabled account: one answer for all.
    #[error("wrong password, unknown or disabled account")]
    BadCredentials,
    /// Not an email address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// Not a password that an account may have.
    #[error(transparent)]
    InvalidPassword(#[from] InvalidPassword),
    /// Another account has that address.
    #[error("the email address is taken")]
    EmailTaken,
    /// They may not make an account for themselves.
    #[error(transparent)]
    RegistrationClosed(#[from] RegistrationClosed),
    /// The refresh token is refused; the reason is for the log alone.
    #[error("the refresh token is refused: {0}")]
    InvalidGrant(&'static str),
    /// No account has that id or address.
    #[error("there is no such account")]
    NoSuchAccount,
    /// The token's account or session is no more.
    #[error("the token's account is no more")]
    AccountGone,
    /// A service token, where a user's is needed.
    #[error("a service token where a user's is needed")]
    NotAUser,
    /// The token was not minted straight from credentials.
    #[error("the token is not fresh")]
    NotFresh,
    /// The calling program did not prove who it is.
    #[error("the caller did not authenticate: {0}")]
    Unauthenticated(&'static str),
    /// The calling program may not ask.
    #[error("the caller lacks the scope introspect")]
    NotAllowed,
    /// More was asked in one call than is answered in one.
    #[error("more than {0} tokens in one call")]
    TooMany(usize),
    /// Too many tries to log in or register; for how long to wait.
    #[error("too many tries; the next in {0:?}")]
    TooManyTries(Duration),
    /// All hashing slots are taken, and their queue is full.
    #[error("the hashing queue is full")]
    Overloaded,
    /// What outlives a request can't be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing failed.
    #[error(transparent)]
    Signing(#[from] SigningKeyError),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] random::Unavailable),
    /// A defect of ours.
    #[error("a defect: {0}")]
    Defect(&'static str),
}
