//! From the hall's errors to HTTP: the one place, without a catch-all arm.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countermark::{
    http::{ErrorAnswer, Guard, Refusal},
    verify::TokenError,
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
            Error::NotFresh => guard.refuse(&Refusal::NotFresh { max_age: Duration::ZERO }),
            Error::Overloaded => {
                tracing::warn!(%error, "request refused");
                ErrorAnswer::unavailable("Too many logins at once; try again", RETRY_AFTER)
            }
            Error::Store(_) | Error::Keys(_) | Error::OtherLog | Error::Random(_) => {
                tracing::error!(%error, "request failed");
                ErrorAnswer::unavailable("The service can't do this right now; try again", RETRY_AFTER)
            }
            Error::Signing(_) | Error::Defect(_) => {
                tracing::error!(%error, "request failed");
                ErrorAnswer::internal()
            }
            Error::TooManyTries(wait) => refused(error).with_retry_after(*wait),
            Error::BadCredentials
            | Error::InvalidEmail(_)
            | Error::InvalidPassword(_)
            | Error::TooMany(_)
            | Error::NotRegistered(_)
            | Error::Grant(_)
            | Error::NoSuchAccount
            | Error::NoSuchClient
            | Error::NoSuchKey
            | Error::EmailTaken
            | Error::ClientExists
            | Error::RegistrationClosed(_)
            | Error::InvalidGrant(_)
            | Error::NotAUser
            | Error::Unauthenticated(_)
            | Error::NotAllowed => refused(error),
        })
    }

    /// The answer, for a door within this one that writes it otherwise.
    pub(super) fn into_answer(self) -> ErrorAnswer {
        self.0
    }
}

/// A refusal: logged, and told in the contract's words.
fn refused(error: &Error) -> ErrorAnswer {
    tracing::info!(reason = %error, "request refused");
    let (status, code, msg) = match error {
        Error::BadCredentials => (401, "bad_credentials", "Bad email or password"),
        Error::InvalidGrant(_) => (401, "invalid_grant", "The refresh token is not accepted; log in"),
        Error::Unauthenticated(_) => (401, "invalid_client", "The client did not authenticate"),
        Error::NotAUser => (403, "insufficient_scope", "A user's token is needed here"),
        Error::NotAllowed => (403, "insufficient_scope", "The client may not ask about tokens"),
        Error::EmailTaken => (409, "email_taken", "There is an account with this email address"),
        Error::TooManyTries(_) => (429, "too_many_requests", "Too many tries; wait a little"),
        // These say it themselves.
        Error::RegistrationClosed(_) => (403, "registration_closed", ""),
        Error::NoSuchAccount | Error::NoSuchClient | Error::NoSuchKey => (404, "not_found", ""),
        Error::ClientExists => (409, "client_exists", ""),
        Error::Grant(why) => (400, why.code(), ""),
        _ => (400, "invalid_request", ""),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    if msg.is_empty() {
        ErrorAnswer::new(status, code, error.to_string())
    } else {
        ErrorAnswer::new(status, code, msg)
    }
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
