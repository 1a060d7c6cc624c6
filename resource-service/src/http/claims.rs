//! `GET /claims`: the verified claims of the token.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::AccessToken;
use countermark_service::openapi::{Operation, Reply};
use serde_json::json;

use super::docs::{Protected, private};

pub(super) async fn show(token: AccessToken) -> Response {
    Json(token.0.claims()).into_response()
}

/// Describes `GET /claims`.
pub(super) fn describe() -> Operation {
    let claims = json!({
        "type": "object",
        "required": ["iss", "sub", "aud", "exp"],
        "properties": {
            "iss": {"type": "string", "description": "The issuer's URL."},
            "sub": {"type": "string", "description": "The account's or the client's id."},
            "aud": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "exp": {"type": "number", "description": "The instant of expiry, in seconds since 1970."},
        },
    });
    Operation::new("claims", "Tokens", "Shows the verified claims of the token.")
        .protected()
        .reply(private(Reply::content(200, "The claims", "application/json", claims)))
}
