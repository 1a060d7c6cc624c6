//! `GET /optional`: with or without a token; a bad one is still refused.

use axum::Json;
use countermark::http::AccessToken;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Visitor {
    logged_in_as: Option<String>,
}

pub(super) async fn show(token: Option<AccessToken>) -> Json<Visitor> {
    Json(Visitor { logged_in_as: token.and_then(|token| token.email.clone()) })
}
