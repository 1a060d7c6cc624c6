//! `GET /optional`: with or without a token. An expired one of a cookie counts as absent; every other bad one is refused.

use axum::Json;
use countermark::http::AccessToken;
use countermark_service::openapi::{Operation, Reply};
use serde::Serialize;
use serde_json::json;

use super::docs::{Protected, object, refused};

#[derive(Debug, Serialize)]
pub(super) struct Visitor {
    logged_in_as: Option<String>,
}

pub(super) async fn show(token: Option<AccessToken>) -> Json<Visitor> {
    Json(Visitor { logged_in_as: token.and_then(|token| token.email.clone()) })
}

/// Describes `GET /optional`.
pub(super) fn describe() -> Operation {
    let name = json!({"type": ["string", "null"], "description": "The email address of a user."});
    let visitor = object(&json!({"logged_in_as": name}));
    Operation::new("optional", "Tokens", "Answers with or without a token. A bad token is refused.")
        .describe("An expired token of a cookie counts as absent.")
        .protected()
        .secured_by(&["", "access"])
        .reply(refused(&["invalid_token"], "The token is not accepted"))
        .reply(Reply::content(200, "The user, if there is one", "application/json", visitor))
}
