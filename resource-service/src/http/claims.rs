//! `GET /claims`: what the token says, verified.

use axum::Json;
use shared::{http::AccessToken, token::Claims};

pub(super) async fn show(token: AccessToken) -> Json<Claims> {
    Json(token.0.into_claims())
}
