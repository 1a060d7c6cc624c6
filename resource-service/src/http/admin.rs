//! `GET /admin`: for subjects with the role `admin`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::{RequiredRole, WithRole};
use countermark_service::openapi::{Operation, Reply};
use serde::Serialize;
use serde_json::json;

use super::{
    LoggedIn,
    docs::{Protected, object},
};

#[derive(Debug, Serialize)]
struct Administrator<'c> {
    admin: bool,
    #[serde(flatten)]
    logged_in: LoggedIn<'c>,
}

pub(super) async fn show<R: RequiredRole + Send>(token: WithRole<R>) -> Response {
    Json(Administrator { admin: true, logged_in: LoggedIn::by(&token) }).into_response()
}

/// Describes `GET /admin`.
pub(super) fn describe() -> Operation {
    let body = object(&json!({"admin": {"const": true}, "logged_in_as": {"type": "string"}}));
    Operation::new("admin", "Tokens", "Answers to a token with the role `admin`.")
        .protected_by("the role `admin`")
        .reply(Reply::content(200, "The subject of the token", "application/json", body))
}
