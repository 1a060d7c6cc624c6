//! How the OAuth endpoints refuse: the same errors, in the members of RFC 6749 §5.2.

use std::borrow::Cow;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countermark::http::ErrorAnswer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::error::{self, Unchallenged},
    ops::Error,
};

/// Every error of the OAuth endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct OAuthErrorBody {
    /// The code, for programs.
    #[schema(example = "invalid_client")]
    error: &'static str,
    /// The sentence, for people.
    #[schema(example = "The client did not authenticate")]
    error_description: &'static str,
}

/// An error on its way out of an OAuth endpoint.
#[derive(Debug)]
pub enum OAuthError {
    /// An operation refused or failed.
    Operation(Error),
    /// The answer is known already, such as for a request that can't be read.
    Answer(ErrorAnswer),
}

impl OAuthError {
    /// 400 `invalid_request`: the request can't be read; `description` says what and where.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::Answer(ErrorAnswer::invalid_request(description))
    }

    /// 400 `invalid_scope`, for a text that is none.
    #[must_use]
    pub fn invalid_scope() -> Self {
        Self::Answer(ErrorAnswer::new(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "scope must be words of printable ASCII with single blanks between them",
        ))
    }

    /// 400 `unsupported_grant_type`.
    #[must_use]
    pub fn unsupported_grant_type() -> Self {
        Self::Answer(ErrorAnswer::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "grant_type must be client_credentials, refresh_token, or that of a token exchange",
        ))
    }
}

impl From<ErrorAnswer> for OAuthError {
    fn from(answer: ErrorAnswer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        Self::Operation(error)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        match self {
            Self::Operation(error) => respond(&error),
            Self::Answer(answer) => answer.into_oauth_response(),
        }
    }
}

fn respond(error: &Error) -> Response {
    let answer = match error::answer(error) {
        Ok(answer) => answer,
        Err(refusal) => return Unchallenged::Token(refusal).into_response(),
    };
    match error {
        // RFC 6749 §5.2: 400 here, where the account routes say 401.
        Error::InvalidGrant(_) => {
            let msg = "The refresh token is not accepted";
            ErrorAnswer::new(StatusCode::BAD_REQUEST, "invalid_grant", msg).into_oauth_response()
        }
        Error::Unauthenticated(_) => Unchallenged::Client(answer).into_response(),
        Error::BadCredentials
        | Error::InvalidEmail(_)
        | Error::InvalidPassword(_)
        | Error::EmailTaken
        | Error::RegistrationClosed(_)
        | Error::Grant(_)
        | Error::NotRegistered(_)
        | Error::ClientExists
        | Error::NoSuchClient
        | Error::NoSuchAccount
        | Error::AccountGone
        | Error::NotAUser
        | Error::NotFresh
        | Error::NotAllowed
        | Error::TooMany(_)
        | Error::TooManyTries(_)
        | Error::Overloaded
        | Error::OtherLog
        | Error::Keys(_)
        | Error::NoSuchKey
        | Error::Store(_)
        | Error::Signing(_)
        | Error::Random(_)
        | Error::Defect(_) => answer.into_oauth_response(),
    }
}
