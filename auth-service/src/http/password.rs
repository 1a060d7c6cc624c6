//! `POST /password`

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use countermark::http::{AccessToken, JsonBody};
use countermark_service::http::Arrival;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    barrier::{Confirmation, Wait},
    device,
    docs::ErrorBody,
    error::HttpError,
};

/// The password, and the one that replaces it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    #[schema(example = "password", format = Password)]
    current_password: String,
    /// 8 to 1,024 bytes.
    #[schema(example = "correct horse battery", format = Password)]
    new_password: String,
}

/// Changes the password. The account's other sessions end; this one goes on.
///
/// # Errors
/// [`HttpError`] when the hall refuses or fails.
#[utoipa::path(
    post,
    path = "/password",
    tag = "Accounts",
    params(Wait),
    request_body = PasswordRequest,
    security(("access" = [])),
    responses(
        (status = 200, description = "It is changed; with `wait` alone", body = Confirmation),
        (status = 204, description = "It is changed"),
        (status = 400, description = "`invalid_request`", body = ErrorBody),
        (status = 401, description = "`bad_credentials`, `insufficient_user_authentication` for a token that is not \
                                      fresh, `missing_token` or `invalid_token`", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = ErrorBody),
    )
)]
pub async fn change(
    State(state): State<HttpState>,
    token: AccessToken,
    arrival: Arrival,
    wait: Wait,
    headers: HeaderMap,
    JsonBody(PasswordRequest { current_password, new_password }): JsonBody<PasswordRequest>,
) -> Result<Response, HttpError> {
    let device = device(&headers, &arrival);
    let revoked = state
        .auth
        .sessions
        .change_password(&token, current_password.into(), new_password.into(), &device)
        .await?;
    wait.answer(&state, revoked, StatusCode::NO_CONTENT).await
}
