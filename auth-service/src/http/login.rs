//! `POST /login`

use axum::{extract::State, http::HeaderMap, response::IntoResponse};
use serde::Deserialize;
use shared::{http::JsonBody, service::http::Arrival};
use utoipa::ToSchema;

use super::{Door, answer::TokenAnswer, device, docs::ErrorBody, error::HttpError};

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    #[schema(example = "test@example.com")]
    email: String,
    #[schema(example = "password", format = Password)]
    password: String,
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
        (status = 200, description = "A fresh access token and the session's refresh token", body = TokenAnswer),
        (status = 400, description = "`invalid_request`: no JSON, or not of this shape", body = ErrorBody),
        (status = 401, description = "`bad_credentials`", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`: too many logins at once", body = ErrorBody),
    )
)]
pub async fn login(
    State(door): State<Door>,
    arrival: Arrival,
    headers: HeaderMap,
    JsonBody(LoginRequest { email, password }): JsonBody<LoginRequest>,
) -> Result<impl IntoResponse, HttpError> {
    let tokens = door.hall.login(&email, password.into(), device(&headers, &arrival)).await;
    tokens.map(TokenAnswer::respond).map_err(|error| HttpError::new(&error, &door.guard))
}
