//! `POST /login`

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use countermark::http::JsonBody;
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{HttpState, answer::TokenAnswer, cookies::CookieAnswer, device, docs::limited, error::HttpError};
use crate::ops::tokens::mint::Delivery;

/// The credentials of a login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    #[schema(example = "test@example.com")]
    email: String,
    #[schema(example = "password", format = Password)]
    password: String,
    /// `body`, or `cookie` for browsers.
    #[serde(default)]
    delivery: RequestedDelivery,
}

/// How the tokens are delivered.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RequestedDelivery {
    #[default]
    Body,
    Cookie,
}

/// Begins a session.
///
/// A wrong password, an unknown and a disabled account get the same answer, in the same time.
pub async fn login(
    State(state): State<HttpState>,
    arrival: Arrival,
    headers: HeaderMap,
    JsonBody(LoginRequest { email, password, delivery }): JsonBody<LoginRequest>,
) -> Result<Response, HttpError> {
    let delivery = match delivery {
        RequestedDelivery::Body => Delivery::Body,
        RequestedDelivery::Cookie => Delivery::Cookie,
    };
    let tokens =
        state.auth.sessions.login(&email, password.into(), delivery, device(&headers, &arrival)).await?;
    Ok(match delivery {
        Delivery::Body => TokenAnswer::respond(tokens).into_response(),
        Delivery::Cookie => state.cookies.respond(tokens),
    })
}

/// Describes `POST /login`.
pub(super) fn describe() -> Operation {
    Operation::new("login", "Sessions", "Begins a session.")
        .describe(
            "A wrong password, an unknown account and a disabled account get the same answer, in the same time. With \
             `\"delivery\":\"cookie\"` the tokens are set as cookies, and the body has the CSRF value instead.",
        )
        .takes::<LoginRequest>()
        .reply(
            Reply::one_of::<TokenAnswer, CookieAnswer>(200, "A fresh access token and a refresh token")
                .may_have_header("Set-Cookie", "The tokens, with `\"delivery\":\"cookie\"`"),
        )
        .reply(Reply::error(400, &["invalid_request"], "The body is not the JSON object that is asked for"))
        .reply(Reply::error(401, &["bad_credentials"], "Wrong password, unknown or disabled account"))
        .reply(limited())
}
