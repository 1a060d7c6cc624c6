//! How the OAuth endpoints refuse: the same errors, in the members of RFC 6749 §5.2.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countermark::http::ErrorAnswer;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{HttpState, error::HttpError},
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
pub struct OAuthError(ErrorAnswer);

impl OAuthError {
    /// Logs what happened, once, and says what the client may know of it.
    #[must_use]
    pub fn new(error: &Error, state: &HttpState) -> Self {
        let answer = HttpError::new(error, &state.guard).into_answer();
        Self(match error {
            // RFC 6749 §5.2: 400 here, where the account routes say 401.
            Error::InvalidGrant(_) => ErrorAnswer::new(
                StatusCode::BAD_REQUEST,
                "invalid_grant",
                "The refresh token is not accepted",
            ),
            Error::Unauthenticated(_) => {
                answer.with_challenge(format!("Basic realm=\"{}\"", state.auth.issuer()))
            }
            _ => answer,
        })
    }

    /// 400 `invalid_request`: the request can't be read; `description` says what and where.
    pub fn invalid_request(description: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self(ErrorAnswer::invalid_request(description))
    }

    /// 400 `invalid_scope`, for a text that is none.
    #[must_use]
    pub fn invalid_scope() -> Self {
        Self(ErrorAnswer::new(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "scope must be words of printable ASCII with single blanks between them",
        ))
    }

    /// 400 `unsupported_grant_type`.
    #[must_use]
    pub fn unsupported_grant_type() -> Self {
        Self(ErrorAnswer::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "grant_type must be client_credentials, refresh_token, or that of a token exchange",
        ))
    }
}

impl From<ErrorAnswer> for OAuthError {
    fn from(answer: ErrorAnswer) -> Self {
        Self(answer)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        self.0.into_oauth_response()
    }
}
