//! `POST /register`

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use countermark::http::JsonBody;
use countermark_service::http::Arrival;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ops::sessions::register::Registrant;

use super::{HttpState, device, docs::ErrorBody, error::HttpError};

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    #[schema(example = "new@example.com")]
    email: String,
    /// 8 to 1,024 bytes.
    #[schema(example = "correct horse battery", format = Password)]
    password: String,
    /// The code of an invitation, where accounts are made by invitation.
    #[serde(default)]
    invite: Option<String>,
}

/// The account that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterAnswer {
    /// Its stable id: the `sub` of its tokens.
    id: String,
    /// Its address, in canonical form.
    #[schema(example = "new@example.com")]
    email: String,
}

/// Makes an account, where registration is open, or by invitation.
///
/// # Errors
/// [`HttpError`] when the hall refuses or fails.
#[utoipa::path(
    post,
    path = "/register",
    tag = "Accounts",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account", body = RegisterAnswer),
        (status = 400, description = "`invalid_request`", body = ErrorBody),
        (status = 403, description = "`registration_closed`", body = ErrorBody),
        (status = 409, description = "`email_taken`", body = ErrorBody),
        (status = 429, description = "`too_many_requests`", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = ErrorBody),
    )
)]
pub async fn register(
    State(state): State<HttpState>,
    arrival: Arrival,
    headers: HeaderMap,
    JsonBody(RegisterRequest { email, password, invite }): JsonBody<RegisterRequest>,
) -> Result<impl IntoResponse, HttpError> {
    let device = device(&headers, &arrival);
    let registrant =
        Registrant { email: &email, password: password.into(), invite: invite.as_deref(), device: &device };
    let account = state.auth.sessions.register(registrant).await?;
    let body = RegisterAnswer { id: account.id.to_string(), email: account.email.to_string() };
    Ok((StatusCode::CREATED, Json(body)))
}
