//! `GET /fresh`: a token minted straight from credentials (RFC 9470).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use countermark::http::FreshToken;

use countermark_service::openapi::Operation;

use super::{
    LoggedIn,
    docs::{Protected, logged_in, refused},
};

pub(super) async fn show(token: FreshToken) -> Response {
    Json(LoggedIn::by(&token)).into_response()
}

/// Describes `GET /fresh`.
pub(super) fn describe() -> Operation {
    Operation::new(
        "fresh",
        "Tokens",
        "Answers to a token that was minted straight from credentials (RFC 9470).",
    )
    .protected()
    .reply(logged_in())
    .reply(refused(
        &["missing_token", "invalid_token", "insufficient_user_authentication"],
        "There is no token, or it is not accepted or not fresh",
    ))
}
