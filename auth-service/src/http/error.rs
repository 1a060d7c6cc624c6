//! From errors to HTTP answers: the one place, without a catch-all arm.
//!
//! A handler passes an error on with `?`. A challenge names the realm, which the error doesn't know: the answer leaves
//! here without its challenge, and [`HttpState`] adds it on the way out.

use std::{borrow::Cow, fmt, mem, time::Duration};

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
use crate::{
    domain::{
        account::InvalidEmail,
        password::{InvalidPassword, Weakness},
    },
    ops::{
        error::{EmailTaken, Fault, InvalidGrant, Overloaded, TooManyTries},
        sessions::{
            login::LoginError,
            logout::LogoutError,
            me::AccountError,
            password::ChangePasswordError,
            refresh::RefreshError,
            register::{RegisterError, RegistrationClosed},
        },
    },
};

/// `Retry-After` of a service that is overloaded or has no database.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a handler answers no success. The reason was logged, once, when it became one of these.
#[derive(Debug)]
pub enum HttpError {
    /// The request's token or its CSRF value is refused: the answer has a challenge.
    Credentials(AuthError),
    /// Any other answer.
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

/// A refusal: logged, and answered in the contract's words.
pub(super) fn refused(
    reason: &dyn fmt::Display,
    status: StatusCode,
    code: &'static str,
    msg: impl Into<Cow<'static, str>>,
) -> ErrorAnswer {
    tracing::info!(%reason, "request refused");
    ErrorAnswer::new(status, code, msg)
}

/// A failure of the service: logged, and answered without its reason.
pub(super) fn failed(error: &Fault) -> ErrorAnswer {
    tracing::error!(%error, "request failed");
    match error {
        Fault::Store(_) | Fault::Keys(_) | Fault::Random(_) => {
            ErrorAnswer::unavailable("The service can't do this right now; try again", RETRY_AFTER)
        }
        Fault::Signing(_) | Fault::Defect(_) => ErrorAnswer::internal(),
    }
}

/// 429 `too_many_requests`, with the time to wait.
pub(super) fn too_many(error: TooManyTries) -> ErrorAnswer {
    let (code, msg) = ("too_many_requests", "Too many tries; wait a little");
    refused(&error, StatusCode::TOO_MANY_REQUESTS, code, msg).with_retry_after(error.0)
}

/// Turns errors into HTTP answers, one answer for each type.
macro_rules! answers {
    ($($type:ty: $error:ident => $answer:expr;)+) => {$(
        impl From<$type> for HttpError {
            fn from($error: $type) -> Self {
                Self::Answer($answer)
            }
        }
    )+};
}

answers! {
    Fault: error => failed(&error);
    InvalidEmail: error => refused(&error, StatusCode::BAD_REQUEST, "invalid_email", error.to_string());
    Weakness: error => refused(&error, StatusCode::BAD_REQUEST, "weak_password", error.to_string());
    InvalidPassword: error => refused(&error, StatusCode::BAD_REQUEST, "invalid_request", error.to_string());
    RegistrationClosed: error => refused(&error, StatusCode::FORBIDDEN, "registration_closed", error.to_string());
    EmailTaken: error => {
        refused(&error, StatusCode::CONFLICT, "email_taken", "There is an account with this email address")
    };
    InvalidGrant: error => {
        let msg = "The refresh token is not accepted; log in";
        refused(&error, StatusCode::UNAUTHORIZED, "invalid_grant", msg)
    };
    TooManyTries: error => too_many(error);
    Overloaded: error => {
        tracing::warn!(%error, "request refused");
        ErrorAnswer::unavailable("Too many logins at once; try again", RETRY_AFTER)
    };
}

fn bad_credentials(reason: &dyn fmt::Display) -> HttpError {
    refused(reason, StatusCode::UNAUTHORIZED, "bad_credentials", "Bad email or password").into()
}

impl From<LoginError> for HttpError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::BadCredentials => bad_credentials(&error),
            LoginError::TooManyTries(error) => error.into(),
            LoginError::Overloaded(error) => error.into(),
            LoginError::Fault(error) => error.into(),
        }
    }
}

impl From<RegisterError> for HttpError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed(error) => error.into(),
            RegisterError::TooManyTries(error) => error.into(),
            RegisterError::InvalidEmail(error) => error.into(),
            RegisterError::InvalidPassword(error) => error.into(),
            RegisterError::Weak(error) => error.into(),
            RegisterError::EmailTaken(error) => error.into(),
            RegisterError::Overloaded(error) => error.into(),
            RegisterError::Fault(error) => error.into(),
        }
    }
}

impl From<RefreshError> for HttpError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::InvalidGrant(error) => error.into(),
            RefreshError::TooManyTries(error) => error.into(),
            RefreshError::CsrfMissing => Self::Credentials(AuthError::CsrfMissing),
            RefreshError::CsrfMismatch => Self::Credentials(AuthError::CsrfMismatch),
            RefreshError::Fault(error) => error.into(),
        }
    }
}

impl From<LogoutError> for HttpError {
    fn from(error: LogoutError) -> Self {
        match error {
            LogoutError::InvalidGrant(error) => error.into(),
            LogoutError::Fault(error) => error.into(),
        }
    }
}

impl From<AccountError> for HttpError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotAUser => {
                let msg = "A user's token is needed here";
                refused(&error, StatusCode::FORBIDDEN, "insufficient_scope", msg).into()
            }
            AccountError::Gone => Self::Credentials(TokenError::Revoked.into()),
            AccountError::Fault(error) => error.into(),
        }
    }
}

impl From<ChangePasswordError> for HttpError {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Account(error) => error.into(),
            ChangePasswordError::NotFresh => {
                Self::Credentials(AuthError::NotFresh { max_age: Duration::ZERO })
            }
            ChangePasswordError::BadCredentials => bad_credentials(&error),
            ChangePasswordError::Unchanged => Self::Answer(refused(
                &error,
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The new password is the current one; choose another",
            )),
            ChangePasswordError::InvalidPassword(error) => error.into(),
            ChangePasswordError::Weak(error) => error.into(),
            ChangePasswordError::TooManyTries(error) => error.into(),
            ChangePasswordError::Overloaded(error) => error.into(),
            ChangePasswordError::Fault(error) => error.into(),
        }
    }
}
