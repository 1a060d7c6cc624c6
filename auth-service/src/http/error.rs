//! From errors to HTTP answers: the one place, without a catch-all arm.
//!
//! A handler passes an error on with `?`. A challenge names the realm, which the error doesn't know: the answer leaves
//! here without its challenge, and [`HttpState`] adds it on the way out.

use std::{borrow::Cow, mem, time::Duration};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countermark::{
    http::ErrorAnswer,
    verify::{AuthError, TokenError},
};
use countermark_service::http::Complete;

use super::HttpState;
use crate::ops::Error;

/// When to come back to a service that has too much to do, or no database.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a handler answers no success.
#[derive(Debug)]
pub enum HttpError {
    /// An operation refused or failed.
    Operation(Error),
    /// The request's token or its CSRF value is refused.
    Credentials(AuthError),
    /// The answer is known already, such as for a request that can't be read.
    Answer(ErrorAnswer),
}

/// An answer that lacks its challenge.
#[derive(Clone, Debug)]
pub(super) enum Unchallenged {
    /// A token is refused (RFC 6750 §3).
    Token(AuthError),
    /// A client did not authenticate (RFC 6749 §5.2).
    Client(ErrorAnswer),
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        Self::Operation(error)
    }
}

impl From<AuthError> for HttpError {
    fn from(refusal: AuthError) -> Self {
        Self::Credentials(refusal)
    }
}

impl From<ErrorAnswer> for HttpError {
    fn from(answer: ErrorAnswer) -> Self {
        Self::Answer(answer)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        match self {
            Self::Operation(error) => match answer(&error) {
                Ok(answer) => answer.into_response(),
                Err(refusal) => Unchallenged::Token(refusal).into_response(),
            },
            Self::Credentials(refusal) => Unchallenged::Token(refusal).into_response(),
            Self::Answer(answer) => answer.into_response(),
        }
    }
}

impl IntoResponse for Unchallenged {
    /// Nothing but this value, for [`HttpState`] to complete. Until then it is an internal error.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl Complete for HttpState {
    fn complete(&self, mut response: Response) -> Response {
        let answer = match response.extensions_mut().remove() {
            None => return response,
            Some(Unchallenged::Token(refusal)) => self.guard.refuse(&refusal),
            Some(Unchallenged::Client(answer)) => {
                answer.with_challenge(format!("Basic realm=\"{}\"", self.auth.issuer()))
            }
        };
        let mut completed = answer.into_response();
        completed.headers_mut().extend(mem::take(response.headers_mut()));
        completed
    }
}

/// Logs the error, once, and says what the caller may know of it.
///
/// # Errors
/// [`AuthError`] when the caller's token is refused: that answer has a challenge.
pub(super) fn answer(error: &Error) -> Result<ErrorAnswer, AuthError> {
    let refused = |status: StatusCode, code, msg: Cow<'static, str>| {
        tracing::info!(reason = %error, "request refused");
        ErrorAnswer::new(status, code, msg)
    };
    let unauthorized = |code, msg: &'static str| refused(StatusCode::UNAUTHORIZED, code, msg.into());
    let forbidden = |code, msg: Cow<'static, str>| refused(StatusCode::FORBIDDEN, code, msg);
    // These errors say themselves what the caller may know.
    let as_it_says = |status, code| refused(status, code, error.to_string().into());
    Ok(match error {
        Error::AccountGone => return Err(TokenError::Revoked.into()),
        Error::NotFresh => return Err(AuthError::NotFresh { max_age: Duration::ZERO }),
        Error::BadCredentials => unauthorized("bad_credentials", "Bad email or password"),
        Error::InvalidGrant(_) => unauthorized("invalid_grant", "The refresh token is not accepted; log in"),
        Error::Unauthenticated(_) => unauthorized("invalid_client", "The client did not authenticate"),
        Error::NotAUser => forbidden("insufficient_scope", "A user's token is needed here".into()),
        Error::NotAllowed => forbidden("insufficient_scope", "The client may not ask about tokens".into()),
        Error::RegistrationClosed(why) => forbidden("registration_closed", why.to_string().into()),
        Error::Grant(why) => as_it_says(StatusCode::BAD_REQUEST, why.code()),
        Error::InvalidEmail(_) | Error::InvalidPassword(_) | Error::TooMany(_) | Error::NotRegistered(_) => {
            as_it_says(StatusCode::BAD_REQUEST, "invalid_request")
        }
        Error::NoSuchAccount | Error::NoSuchClient | Error::NoSuchKey => {
            as_it_says(StatusCode::NOT_FOUND, "not_found")
        }
        Error::EmailTaken => {
            let msg = "There is an account with this email address";
            refused(StatusCode::CONFLICT, "email_taken", msg.into())
        }
        Error::ClientExists => as_it_says(StatusCode::CONFLICT, "client_exists"),
        Error::TooManyTries(wait) => {
            let (code, msg) = ("too_many_requests", "Too many tries; wait a little");
            refused(StatusCode::TOO_MANY_REQUESTS, code, msg.into()).with_retry_after(*wait)
        }
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
    })
}
