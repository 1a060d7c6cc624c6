//! `GET /.well-known/jwks.json` (RFC 7517 §5)

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::HttpState;

/// The public keys that tokens are verified with.
///
/// Keep them for as long as `Cache-Control` says, and ask again with `If-None-Match`.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "Discovery",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the set at hand")),
    responses(
        (status = 200, description = "A JWK set", body = serde_json::Value),
        (status = 304, description = "The set at hand is current"),
    )
)]
pub async fn jwks(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    let keys = state.auth.keys.published();
    let mut response = if is_current(&headers, &keys.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // Not `application/jwk-set+json`: clients of all kinds parse what says that it is plain JSON.
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

/// RFC 9110 §13.1.2: any of the listed tags, compared weakly, or `*`.
fn is_current(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
