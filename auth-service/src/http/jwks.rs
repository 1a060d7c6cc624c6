//! `GET /.well-known/jwks.json` (RFC 7517 §5)

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use countermark_service::openapi::{Operation, Reply};
use serde_json::json;

use super::HttpState;

/// The public keys that tokens are verified with.
///
/// Keep them for as long as `Cache-Control` says, and ask again with `If-None-Match`.
pub async fn jwks(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    let keys = state.auth.keys.published();
    let mut response = if is_current(&headers, &keys.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // Not `application/jwk-set+json`: some clients parse plain JSON only.
        let content_type = HeaderValue::from_static("application/json");
        let mut response = Response::new(Body::from(keys.json.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&keys.etag).ok().map(|etag| (header::ETAG, etag)));
    headers.insert(header::CACHE_CONTROL, state.cache_control);
    response
}

/// Describes `GET /.well-known/jwks.json`.
pub(super) fn describe() -> Operation {
    let set = json!({
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "items": {
            "type": "object",
            "required": ["kty", "use", "alg", "kid", "n", "e"],
            "properties": {
                "kty": {"const": "RSA"},
                "use": {"const": "sig"},
                "alg": {"const": "RS256"},
                "kid": {"type": "string", "description": "The thumbprint of the key (RFC 7638)."},
                "n": {"type": "string", "description": "The modulus, base64url."},
                "e": {"type": "string", "description": "The exponent, base64url."},
            },
        }}},
    });
    let with_tag = |reply: Reply| {
        reply
            .with_header("ETag", "The version of the set")
            .with_header("Cache-Control", "For how long the set may be kept")
    };
    Operation::new("jwks", "Discovery", "The public keys that verify tokens.")
        .describe("Keep them for as long as `Cache-Control` says, and ask again with `If-None-Match`.")
        .parameter("header", "If-None-Match", "The `ETag` of the set at hand", json!({"type": "string"}))
        .reply(with_tag(Reply::content(200, "A JWK set (RFC 7517 §5)", "application/json", set)))
        .reply(with_tag(Reply::empty(304, "The set at hand is current")))
}

/// Whether the client has the current set (RFC 9110 §13.1.2): one of its tags matches weakly, or it sent `*`.
fn is_current(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes())
}
