//! `GET /protected-route`: any live token.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::AccessToken;

use countermark_service::openapi::Operation;

use super::{
    LoggedIn,
    docs::{Protected, logged_in},
};

pub(super) async fn show(token: AccessToken) -> Response {
    Json(LoggedIn::by(&token)).into_response()
}

/// Describes `GET /protected-route`.
pub(super) fn describe() -> Operation {
    Operation::new("protected", "Tokens", "Answers to any live token.").protected().reply(logged_in())
}
