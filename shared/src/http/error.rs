//! [`ErrorAnswer`]: the one error body.

use std::{borrow::Cow, fmt, time::Duration};

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// An error as every route of ours answers it: a status, `{"error": "<code>", "msg": "<sentence>"}`, and where the
/// contract asks for them `WWW-Authenticate` (RFC 6750 §3) and `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    status: StatusCode,
    error: &'static str,
    msg: Cow<'static, str>,
    challenge: Option<String>,
    retry_after: Option<Duration>,
}

/// The body of an [`ErrorAnswer`] at an OAuth endpoint (RFC 6749 §5.2).
#[derive(Debug, Serialize)]
struct OAuthBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// The body of an [`ErrorAnswer`].
#[derive(Debug, Serialize)]
struct Body<'a> {
    error: &'a str,
    msg: &'a str,
}

impl ErrorAnswer {
    /// An error without further headers.
    #[must_use]
    pub fn new(status: StatusCode, error: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, msg: msg.into(), challenge: None, retry_after: None }
    }

    /// 400 `invalid_request`: what the caller sent can't be read; `msg` says what and where.
    #[must_use]
    pub fn invalid_request(msg: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", msg)
    }

    /// 404 `not_found`.
    #[must_use]
    pub fn not_found(msg: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", msg)
    }

    /// 405 `method_not_allowed`.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This route does not take that method",
        )
    }

    /// 413 `payload_too_large`.
    #[must_use]
    pub fn payload_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "The request body is too large")
    }

    /// 500 `internal`: a defect of ours, already logged. No input should ever produce it.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service failed; the failure was logged")
    }

    /// 503 `temporarily_unavailable`, to be tried again after `retry_after`.
    #[must_use]
    pub fn unavailable(msg: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", msg)
        }
    }

    /// The same with a `WWW-Authenticate` challenge.
    #[must_use]
    pub fn with_challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// The same with `Retry-After`, in whole seconds, at least one.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code: the member `error` of the body.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.error
    }

    /// The sentence: the member `msg` of the body.
    #[must_use]
    pub fn msg(&self) -> &str {
        &self.msg
    }
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.error, self.msg)
    }
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Body { error: self.error, msg: &self.msg })).into_response();
        // For a layer that writes it otherwise.
        response.extensions_mut().insert(self.clone());
        self.with_headers(response)
    }
}

impl ErrorAnswer {
    /// The answer as OAuth endpoints write it: `{"error", "error_description"}` (RFC 6749 §5.2), and never kept.
    #[must_use]
    pub fn into_oauth_response(self) -> Response {
        let body = OAuthBody { error: self.error, error_description: &self.msg };
        let response = (self.status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        self.with_headers(response)
    }

    fn with_headers(self, mut response: Response) -> Response {
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        };
        if let Some(challenge) = self.challenge {
            set(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(retry_after) = self.retry_after {
            set(header::RETRY_AFTER, retry_after.as_secs().max(1).to_string());
        }
        response
    }
}
