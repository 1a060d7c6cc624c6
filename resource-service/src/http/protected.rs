//! `GET /protected-route`: any live token.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::AccessToken;

use super::LoggedIn;

pub(super) async fn show(token: AccessToken) -> Response {
    Json(LoggedIn::by(&token)).into_response()
}
