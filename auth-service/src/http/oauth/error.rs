//! How the OAuth endpoints refuse: the same errors, in the members of RFC 6749 §5.2.

use std::borrow::Cow;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use countermark::http::ErrorAnswer;

use crate::{
    http::error::{Unchallenged, failed, refused, too_many},
    ops::{
        caller::CallerError,
        error::{Fault, GrantRefused, InvalidGrant, RevokeError, TooManyTries, Unauthenticated},
        oauth::{
            authenticate_client::{ClientError, IntrospectorError},
            client_credentials::IssueError,
        },
        sessions::refresh::RefreshGrantError,
    },
};

/// An error on its way out of an OAuth endpoint. The reason was logged, once, when it became one of these.
#[derive(Debug)]
pub enum OAuthError {
    /// A client did not authenticate: the answer has a challenge.
    Client(ErrorAnswer),
    /// Any other answer.
    Answer(ErrorAnswer),
}

impl OAuthError {
    /// 400 `invalid_request`: the request can't be read; `description` says what and where.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::Answer(ErrorAnswer::invalid_request(description))
    }

    /// 400 `invalid_scope`, for a text that is not a scope.
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

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        match self {
            Self::Client(answer) => Unchallenged::Client(answer).into_response(),
            Self::Answer(answer) => answer.into_oauth_response(),
        }
    }
}

impl From<Fault> for OAuthError {
    fn from(error: Fault) -> Self {
        Self::Answer(failed(&error))
    }
}

impl From<TooManyTries> for OAuthError {
    fn from(error: TooManyTries) -> Self {
        Self::Answer(too_many(error))
    }
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::TooManyTries(error) => error.into(),
            RevokeError::Fault(error) => error.into(),
        }
    }
}

impl From<Unauthenticated> for OAuthError {
    fn from(error: Unauthenticated) -> Self {
        let msg = "The client did not authenticate";
        Self::Client(refused(&error, StatusCode::UNAUTHORIZED, "invalid_client", msg))
    }
}

impl From<GrantRefused> for OAuthError {
    fn from(error: GrantRefused) -> Self {
        Self::Answer(refused(&error, StatusCode::BAD_REQUEST, error.code(), error.to_string()))
    }
}

impl From<InvalidGrant> for OAuthError {
    /// RFC 6749 §5.2: 400 here, where the account routes say 401.
    fn from(error: InvalidGrant) -> Self {
        let msg = "The refresh token is not accepted";
        Self::Answer(refused(&error, StatusCode::BAD_REQUEST, "invalid_grant", msg))
    }
}

impl From<CallerError> for OAuthError {
    fn from(error: CallerError) -> Self {
        match error {
            CallerError::Unauthenticated(error) => error.into(),
            CallerError::NotAllowed(_) => {
                let msg = "The client may not ask about tokens";
                Self::Answer(refused(&error, StatusCode::FORBIDDEN, "insufficient_scope", msg))
            }
        }
    }
}

impl From<ClientError> for OAuthError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unauthenticated(error) => error.into(),
            ClientError::TooManyTries(error) => error.into(),
            ClientError::Fault(error) => error.into(),
        }
    }
}

impl From<IntrospectorError> for OAuthError {
    fn from(error: IntrospectorError) -> Self {
        match error {
            IntrospectorError::Caller(error) => error.into(),
            IntrospectorError::Fault(error) => error.into(),
        }
    }
}

impl From<IssueError> for OAuthError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Refused(error) => error.into(),
            IssueError::Unauthenticated(error) => error.into(),
            IssueError::TooManyTries(error) => error.into(),
            IssueError::Fault(error) => error.into(),
        }
    }
}

impl From<RefreshGrantError> for OAuthError {
    fn from(error: RefreshGrantError) -> Self {
        match error {
            RefreshGrantError::InvalidGrant(error) => error.into(),
            RefreshGrantError::Refused(error) => error.into(),
            RefreshGrantError::TooManyTries(error) => error.into(),
            RefreshGrantError::Fault(error) => error.into(),
        }
    }
}
