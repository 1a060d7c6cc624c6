//! `GET /.well-known/jwks.json` (RFC 7517 §5)

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Door;

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
pub async fn jwks(State(door): State<Door>, headers: HeaderMap) -> Response {
    let keys = door.hall.published_keys();
    let common = [
        (header::ETAG, keys.etag.clone()),
        (header::CACHE_CONTROL, format!("public, max-age={}", door.jwks_max_age.as_secs())),
    ];
    if is_current(&headers, &keys.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    // Not `application/jwk-set+json`: clients of all kinds parse what says that it is plain JSON.
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (common, content_type, keys.json.clone()).into_response()
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
