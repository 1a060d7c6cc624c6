//! `GET /fresh`: a token minted straight from credentials (RFC 9470).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::FreshToken;

use super::LoggedIn;

pub(super) async fn show(token: FreshToken) -> Response {
    Json(LoggedIn::by(&token)).into_response()
}
