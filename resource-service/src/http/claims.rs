//! `GET /claims`: what the token says, verified.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::AccessToken;

pub(super) async fn show(token: AccessToken) -> Response {
    Json(token.0.claims()).into_response()
}
