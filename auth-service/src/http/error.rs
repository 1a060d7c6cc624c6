//! From the hall's errors to HTTP: the one place, without a catch-all arm.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use shared::{
    http::{ErrorAnswer, Guard, Refusal},
    token::TokenError,
};

use crate::ops::Error;

/// When to come back to a service that has too much to do, or no database.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error of the hall, on its way out through this door.
#[derive(Debug)]
pub struct HttpError(ErrorAnswer);

impl HttpError {
    /// Logs what happened, once, and says what the caller may know of it.
    pub fn new(error: &Error, guard: &Guard) -> Self {
        Self(match error {
            Error::AccountGone => guard.refuse(&Refusal::Token(TokenError::Revoked)),
            Error::BadCredentials => {
                refused(error, StatusCode::UNAUTHORIZED, "bad_credentials", "Bad email or password")
            }
            Error::InvalidEmail(_) | Error::InvalidPassword(_) | Error::TooMany(_) => {
                refused(error, StatusCode::BAD_REQUEST, "invalid_request", error.to_string())
            }
            Error::NoSuchAccount => refused(error, StatusCode::NOT_FOUND, "not_found", error.to_string()),
            Error::EmailTaken => refused(
                error,
                StatusCode::CONFLICT,
                "email_taken",
                "There is an account with this email address",
            ),
            Error::RegistrationClosed(why) => {
                refused(error, StatusCode::FORBIDDEN, "registration_closed", why.to_string())
            }
            Error::InvalidGrant(_) => refused(
                error,
                StatusCode::UNAUTHORIZED,
                "invalid_grant",
                "The refresh token is not accepted; log in",
            ),
            Error::NotFresh => guard.refuse(&Refusal::NotFresh { max_age: Duration::ZERO }),
            Error::NotAUser => {
                refused(error, StatusCode::FORBIDDEN, "insufficient_scope", "A user's token is needed here")
            }
            Error::Unauthenticated(_) => {
                refused(error, StatusCode::UNAUTHORIZED, "invalid_client", "The client did not authenticate")
            }
            Error::NotAllowed => refused(
                error,
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "The client may not ask about tokens",
            ),
            Error::TooManyTries(wait) => refused(
                error,
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too many tries; wait a little",
            )
            .with_retry_after(*wait),
            Error::Overloaded => {
                tracing::warn!(%error, "request refused");
                ErrorAnswer::unavailable("Too many logins at once; try again", RETRY_AFTER)
            }
            Error::Store(_) | Error::Random(_) => {
                tracing::error!(%error, "request failed");
                ErrorAnswer::unavailable("The service can't do this right now; try again", RETRY_AFTER)
            }
            Error::Signing(_) | Error::Defect(_) => {
                tracing::error!(%error, "request failed");
                ErrorAnswer::internal()
            }
        })
    }
}

fn refused(
    reason: &Error,
    status: StatusCode,
    error: &'static str,
    msg: impl Into<std::borrow::Cow<'static, str>>,
) -> ErrorAnswer {
    tracing::info!(%reason, "request refused");
    ErrorAnswer::new(status, error, msg)
}

impl From<ErrorAnswer> for HttpError {
    fn from(answer: ErrorAnswer) -> Self {
        Self(answer)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}
