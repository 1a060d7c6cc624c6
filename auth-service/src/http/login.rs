//! `POST /login`

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use countermark::http::JsonBody;
use countermark_service::http::Arrival;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{HttpState, answer::TokenAnswer, cookies, device, docs::ErrorBody, error::HttpError};
use crate::ops::tokens::mint::Delivery;

/// Who logs in.
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

/// Where the tokens are to go.
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
///
/// # Errors
/// [`HttpError`] when the hall refuses or fails.
#[utoipa::path(
    post,
    path = "/login",
    tag = "Sessions",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "A fresh access token and the session's refresh token; in cookies when asked for, \
                                      and then the body has `csrf` and no token", body = TokenAnswer),
        (status = 400, description = "`invalid_request`: no JSON, or not of this shape", body = ErrorBody),
        (status = 401, description = "`bad_credentials`", body = ErrorBody),
        (status = 429, description = "`too_many_requests`: see `Retry-After`", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`: too many logins at once", body = ErrorBody),
    )
)]
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
        Delivery::Cookie => cookies::respond(tokens, state.cookie_domain()),
    })
}
