//! Errors that several operations share. Each operation's own error stands beside the operation, and names what that
//! operation can answer.

use std::time::Duration;

use countermark::random;

use crate::{
    domain::granting::NotGranted,
    keys::{master_key::MasterKeyError, ring::NoActiveKey, seal::CannotOpen, signing_key::SigningKeyError},
    store::StoreError,
};

/// The service failed: another request could not have done better.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys can't be read, opened or made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] random::Unavailable),
    /// The library failed to sign.
    #[error(transparent)]
    Signing(#[from] SigningKeyError),
    /// A defect of this program.
    #[error("a defect: {0}")]
    Defect(&'static str),
}

/// The keys can't be read, opened or made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They were sealed with another master key.
    #[error("the keys in the database are {0}; is AUTH_MASTER_KEY_FILE the one that it was made with?")]
    Sealed(#[from] CannotOpen),
    /// The master key can't be read or made.
    #[error("the master key {0}")]
    MasterKey(#[from] MasterKeyError),
    /// A key is damaged, or can't be made.
    #[error(transparent)]
    Signing(#[from] SigningKeyError),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] countermark::random::Unavailable),
    /// The database holds no key. That is never so after a start.
    #[error("there is no key in the database")]
    None,
}

impl From<NoActiveKey> for KeysError {
    fn from(_: NoActiveKey) -> Self {
        Self::None
    }
}

/// Lets `?` turn each cause of a [`Fault`] into the variant `Fault` of an operation's error.
macro_rules! has_faults {
    ($($error:ty),+ $(,)?) => {$(
        impl<T> From<T> for $error
        where
            crate::ops::Fault: From<T>,
        {
            fn from(fault: T) -> Self {
                Self::Fault(fault.into())
            }
        }
    )+};
}
pub(in crate::ops) use has_faults;

/// The refresh token is refused. The reason is for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the refresh token is refused: {0}")]
pub struct InvalidGrant(pub &'static str);

/// The calling program did not prove which client it is. The reason is for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller did not authenticate: {0}")]
pub struct Unauthenticated(pub &'static str);

/// Too many tries to log in or to register, or requests with tokens; the span is how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; the next in {0:?}")]
pub struct TooManyTries(pub Duration);

/// A token is not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Too many were revoked a moment ago.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(RevokeError);

/// All hashing threads are busy, and their queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hashing queue is full")]
pub struct Overloaded;

/// Another account has the email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the email address is taken")]
pub struct EmailTaken;

/// A client or an audience names what is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRegistered {
    /// No audience owns the scope.
    #[error("no audience owns the scope {0}; register one with `audience add`")]
    Scope(String),
    /// The audience is not registered.
    #[error("there is no audience {0}; register it with `audience add`")]
    Audience(String),
}

/// Why the token endpoint issues no token (RFC 6749 §5.2). The answer says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// The client is not registered for this grant.
    #[error("the client may not use the grant {0}")]
    UnauthorizedClient(&'static str),
    /// The scope or the resource can't be granted.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// The subject token of an exchange is dead, or the client is not in its audience (RFC 8693 §2.2.2).
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
