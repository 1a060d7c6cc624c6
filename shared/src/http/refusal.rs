//! Why a caller is turned away, and what it is told: less than the log.

use std::{borrow::Cow, time::Duration};

use axum::http::StatusCode;

use super::{ErrorAnswer, Location};
use crate::{
    issuer::Refused,
    verify::{TokenError, Unmet},
};

/// Why a caller is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token.
    #[error("no token")]
    MissingToken,
    /// Two `Authorization` headers, or tokens in two places (RFC 6750 §2).
    #[error("more than one token")]
    SeveralTokens,
    /// What stands where a token belongs is none, so that nothing was decoded.
    #[error("no token where one belongs, in the {0}")]
    NotAToken(Location),
    /// The token is not believed.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenError),
    /// An access token, where a refresh token belongs.
    #[error("an access token where a refresh token belongs")]
    AccessToken,
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
    /// An unsafe request by cookie did not repeat the token's `csrf` value.
    #[error("the CSRF value is missing or wrong")]
    Csrf,
    /// The same, when the request has no such value at all.
    #[error("the CSRF value is missing")]
    NoCsrf,
    /// An unsafe request by cookie, with a token that has no `csrf` value: it was not made for cookies.
    #[error("a token without a CSRF value, by cookie")]
    NoCsrfClaim,
    /// The service's own check does not let the token through.
    #[error("the service's own check: {0}")]
    Denied(Cow<'static, str>),
    /// The token is good, and the service knows nobody of its subject.
    #[error("no user of the token's subject")]
    UnknownUser,
    /// No key set was ever had, so that nothing can be verified.
    #[error("the issuer's keys were never had")]
    NoKeys,
    /// The token is good, but its revocation may have been missed.
    #[error("the issuer has not been heard of for too long")]
    Stale,
}

/// When to come back if the issuer was not reached.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Refusal {
    /// When to come back, if nothing could be judged; `None` when another token is needed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::NoKeys | Self::Stale).then_some(RETRY_AFTER)
    }

    /// What the caller is told. `realm` names the protected space (RFC 6750 §3).
    #[must_use]
    pub fn answer(&self, realm: &str) -> ErrorAnswer {
        const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
        const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
        let challenged = |status, error, msg: Cow<'static, str>, more: &str| {
            challenged(ErrorAnswer::new(status, error, msg), realm, more)
        };
        let invalid = |msg: &'static str| challenged(UNAUTHORIZED, "invalid_token", msg.into(), "");
        match self {
            Self::MissingToken => {
                ErrorAnswer::new(UNAUTHORIZED, "missing_token", "An access token is required")
                    .with_challenge(format!("Bearer realm=\"{realm}\""))
            }
            Self::SeveralTokens => {
                let msg = "The request has more than one access token; send exactly one";
                challenged(StatusCode::BAD_REQUEST, "invalid_request", msg.into(), "")
            }
            Self::NotAToken(_) => invalid(TokenError::Segments.told()),
            Self::Token(error) => invalid(error.told()),
            Self::AccessToken => invalid("Only refresh tokens are accepted"),
            Self::UnknownUser => invalid("The token's user is not known here"),
            Self::NotFresh { max_age } => {
                let more = format!(", max_age=\"{}\"", max_age.as_secs());
                let error = "insufficient_user_authentication";
                challenged(UNAUTHORIZED, error, "A more recent login is required".into(), &more)
            }
            Self::Scope(scope) => {
                let (msg, more) =
                    (format!("The token lacks the scope {scope}"), format!(", scope=\"{scope}\""));
                challenged(FORBIDDEN, "insufficient_scope", msg.into(), &more)
            }
            Self::Role(role) => {
                let msg = format!("The role {role} is required");
                challenged(FORBIDDEN, "insufficient_scope", msg.into(), "")
            }
            Self::Denied(reason) => ErrorAnswer::new(FORBIDDEN, "access_denied", reason.clone()),
            Self::Csrf | Self::NoCsrf | Self::NoCsrfClaim => ErrorAnswer::new(
                FORBIDDEN,
                "csrf",
                "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token",
            ),
            Self::NoKeys => ErrorAnswer::unavailable(
                "The issuer's keys have not been reached yet; try again",
                RETRY_AFTER,
            ),
            Self::Stale => ErrorAnswer::unavailable(
                "The issuer has not been heard of for too long; try again",
                RETRY_AFTER,
            ),
        }
    }
}

/// RFC 6750 §3: the challenge repeats the error, for clients that don't read bodies.
fn challenged(answer: ErrorAnswer, realm: &str, more: &str) -> ErrorAnswer {
    let challenge = format!(
        "Bearer error=\"{}\", error_description=\"{}\"{more}, realm=\"{realm}\"",
        answer.code(),
        answer.msg()
    );
    answer.with_challenge(challenge)
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
