//! `GET /admin`: for whoever has the role.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::{RequiredRole, WithRole};
use serde::Serialize;

use super::LoggedIn;

#[derive(Debug, Serialize)]
struct Administrator<'c> {
    admin: bool,
    #[serde(flatten)]
    logged_in: LoggedIn<'c>,
}

pub(super) async fn show<R: RequiredRole + Send>(token: WithRole<R>) -> Response {
    Json(Administrator { admin: true, logged_in: LoggedIn::by(&token) }).into_response()
}
