//! Why a caller is turned away, and what it is told: less than the log.

use std::time::Duration;

use axum::http::StatusCode;

use super::ErrorAnswer;
use crate::token::TokenError;

/// Why a caller is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token.
    #[error("no token")]
    MissingToken,
    /// Two `Authorization` headers, or tokens in two places (RFC 6750 §2).
    #[error("more than one token")]
    SeveralTokens,
    /// The token is not believed.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenError),
    /// The token was not minted straight from credentials, or too long ago (RFC 9470).
    #[error("credentials were given too long ago")]
    NotFresh {
        /// How long ago credentials may have been given at most.
        max_age: Duration,
    },
    /// The token lacks this scope.
    #[error("the scope {0} is missing")]
    Scope(&'static str),
    /// The subject lacks this role.
    #[error("the role {0} is missing")]
    Role(&'static str),
    /// An unsafe request by cookie did not repeat the token's `csrf` value.
    #[error("the CSRF value is missing or wrong")]
    Csrf,
    /// No key set was ever had, so that nothing can be verified.
    #[error("the issuer's keys were never had")]
    NoKeys,
}

/// When to come back if there are no keys yet.
const NO_KEYS_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Refusal {
    /// What the caller is told. `realm` names the protected space (RFC 6750 §3).
    #[must_use]
    pub fn answer(&self, realm: &str) -> ErrorAnswer {
        match self {
            Self::MissingToken => {
                ErrorAnswer::new(StatusCode::UNAUTHORIZED, "missing_token", "An access token is required")
                    .with_challenge(format!("Bearer realm=\"{realm}\""))
            }
            Self::SeveralTokens => challenged(
                ErrorAnswer::invalid_request("The request has more than one access token; send exactly one"),
                realm,
                "",
            ),
            Self::Token(error) => challenged(
                ErrorAnswer::new(StatusCode::UNAUTHORIZED, "invalid_token", error.told()),
                realm,
                "",
            ),
            Self::NotFresh { max_age } => challenged(
                ErrorAnswer::new(
                    StatusCode::UNAUTHORIZED,
                    "insufficient_user_authentication",
                    "A more recent login is required",
                ),
                realm,
                &format!(", max_age=\"{}\"", max_age.as_secs()),
            ),
            Self::Scope(scope) => challenged(
                ErrorAnswer::new(
                    StatusCode::FORBIDDEN,
                    "insufficient_scope",
                    format!("The token lacks the scope {scope}"),
                ),
                realm,
                &format!(", scope=\"{scope}\""),
            ),
            Self::Role(role) => challenged(
                ErrorAnswer::new(
                    StatusCode::FORBIDDEN,
                    "insufficient_scope",
                    format!("The role {role} is required"),
                ),
                realm,
                "",
            ),
            Self::Csrf => ErrorAnswer::new(
                StatusCode::FORBIDDEN,
                "csrf",
                "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token",
            ),
            Self::NoKeys => ErrorAnswer::unavailable(
                "The issuer's keys have not been reached yet; try again",
                NO_KEYS_RETRY_AFTER,
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
