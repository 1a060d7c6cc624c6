//! The token answer of a login and of a refresh.

use axum::{
    Json,
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ops::tokens::mint::IssuedTokens;

/// The header of an answer with a token: no cache may keep it (RFC 6749 §5.1).
pub const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// An answer about a token, which no cache keeps. Its buffer has room for it from the beginning: axum's own grows in five
/// steps.
pub fn about_token(body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(2 * 1024);
    if serde_json::to_writer(&mut bytes, body).is_err() {
        // This does not happen: a write to memory does not fail. If it did, axum would answer.
        return (NO_STORE, Json(body)).into_response();
    }
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The tokens of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAnswer {
    /// The access token. Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token lives, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// The session's one live refresh token.
    refresh_token: String,
    /// How long the refresh token lives if it is not used, in seconds.
    #[schema(example = 2_592_000)]
    refresh_expires_in: u64,
    /// What the access token may be used for, space-separated.
    scope: String,
}

impl TokenAnswer {
    /// The whole answer, headers included.
    #[must_use]
    pub fn respond(tokens: IssuedTokens) -> Response {
        let body = Self {
            access_token: tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh_token,
            refresh_expires_in: tokens.refresh_expires_in.as_secs(),
            scope: tokens.scope.to_string(),
        };
        about_token(&body)
    }
}
