//! Why a call is turned away, and what the caller is told: less than the log.

use std::{borrow::Cow, time::Duration};

use tonic::Status;

use crate::{
    issuer::Refused,
    verify::{TokenError, Unmet},
};

/// Why a call is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token.
    #[error("no token")]
    MissingToken,
    /// More than one `authorization` (RFC 6750 §2).
    #[error("more than one token")]
    SeveralTokens,
    /// The token is not believed.
    #[error("the token is refused: {0}")]
    Token(TokenError),
    /// The token was not minted straight from credentials, or too long ago (RFC 9470).
    #[error("credentials were given too long ago")]
    NotFresh {
        /// How long ago credentials may have been given at most.
        max_age: Duration,
    },
    /// The token lacks this scope.
    #[error("the scope {0} is missing")]
    Scope(Cow<'static, str>),
    /// The subject lacks this role.
    #[error("the role {0} is missing")]
    Role(Cow<'static, str>),
    /// No key set was ever had, so that nothing can be verified.
    #[error("the issuer's keys were never had")]
    NoKeys,
    /// The token is good, but its revocation may have been missed.
    #[error("the issuer has not been heard of for too long")]
    Stale,
}

impl From<Unmet> for Refusal {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::NotFresh { max_age } => Self::NotFresh { max_age },
            Unmet::Scope(scope) => Self::Scope(scope),
            Unmet::Role(role) => Self::Role(role),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Token(error) => Self::Token(error),
            Refused::NoKeys => Self::NoKeys,
            Refused::Stale => Self::Stale,
        }
    }
}

impl From<Refusal> for Status {
    /// Logs why a caller is turned away, once, and tells it what it may know.
    fn from(refusal: Refusal) -> Self {
        tracing::info!(reason = %refusal, "call refused");
        match refusal {
            Refusal::MissingToken => Self::unauthenticated("An access token is required"),
            Refusal::SeveralTokens => {
                Self::unauthenticated("The call has more than one access token; send exactly one")
            }
            Refusal::Token(error) => Self::unauthenticated(error.told()),
            Refusal::NotFresh { max_age } => {
                let mut status = Self::unauthenticated("A more recent login is required");
                // RFC 9470's parameter, where a client of gRPC looks.
                status.metadata_mut().insert("max-age", max_age.as_secs().into());
                status
            }
            Refusal::Role(role) => Self::permission_denied(format!("The role {role} is required")),
            Refusal::Scope(scope) => Self::permission_denied(format!("The token lacks the scope {scope}")),
            Refusal::NoKeys => Self::unavailable("The issuer's keys have not been reached yet; try again"),
            Refusal::Stale => Self::unavailable("The issuer has not been heard of for too long; try again"),
        }
    }
}
