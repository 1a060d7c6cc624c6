//! How the service refuses or fails. The doors map each variant to their own form, without a catch-all arm, so that the
//! two can't disagree.

use std::time::Duration;

use countermark::random;

use crate::ops::keys::signing::KeysError;
use crate::{
    domain::{account::InvalidEmail, granting::NotGranted, password::InvalidPassword},
    keys::signing_key::SigningKeyError,
    store::{StoreError, audiences::ScopeTaken},
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

/// What a client or an audience can't be registered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRegistered {
    /// Nobody owns that scope.
    #[error("no audience owns the scope {0}; register one with `audience add`")]
    Scope(String),
    /// Nobody registered that audience.
    #[error("there is no audience {0}; register it with `audience add`")]
    Audience(String),
    /// Another audience owns that scope.
    #[error(transparent)]
    Taken(#[from] ScopeTaken),
}

/// Why no token is had at the token endpoint (RFC 6749 §5.2); it is told as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// The client is not registered for this grant.
    #[error("the client may not use the grant {0}")]
    UnauthorizedClient(&'static str),
    /// What was asked for can't be granted.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// The subject token of an exchange is not alive, or the client is not in its audience (RFC 8693 §2.2.2).
    #[error("the subject token is not alive, or not for this client")]
    SubjectToken,
}

impl GrantRefused {
    /// The code of RFC 6749 §5.2 and RFC 8707 §2.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnauthorizedClient(_) => "unauthorized_client",
            Self::NotGranted(NotGranted::Scope(_) | NotGranted::Nothing) => "invalid_scope",
            Self::NotGranted(NotGranted::Resource(_)) => "invalid_target",
            Self::SubjectToken => "invalid_request",
        }
    }
}

impl From<NotGranted> for Error {
    fn from(error: NotGranted) -> Self {
        Self::Grant(error.into())
    }
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
    /// No token is had at the token endpoint.
    #[error(transparent)]
    Grant(#[from] GrantRefused),
    /// A client or an audience can't be registered like that.
    #[error(transparent)]
    NotRegistered(#[from] NotRegistered),
    /// Another client has that id.
    #[error("there is a client of that id")]
    ClientExists,
    /// No client has that id.
    #[error("there is no such client")]
    NoSuchClient,
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
    /// The revocation log is another one than it was.
    #[error("the revocation log was replaced")]
    OtherLog,
    /// The keys can't be had, or changed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No signing key has that name.
    #[error("there is no such key")]
    NoSuchKey,
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
