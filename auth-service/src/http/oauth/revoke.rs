//! `POST /oauth/revoke`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use countermark_service::http::Arrival;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    client::credentials,
    error::{OAuthError, OAuthErrorBody},
    form::Form,
};
use crate::http::{HttpState, answer::NO_STORE, device};

/// What is revoked; a form, not JSON.
#[derive(Deserialize, ToSchema)]
pub struct RevocationRequest {
    /// The token, of either kind.
    #[serde(rename = "token")]
    _token: String,
}

/// Revokes a token of the client's own (RFC 7009): a refresh token with its session, an access token alone.
///
/// An unknown or dead token is fine, and another client's is left as it is: the answer is the same.
///
/// # Errors
/// [`OAuthError`] when the client does not authenticate.
#[utoipa::path(
    post,
    path = "/oauth/revoke",
    tag = "OAuth",
    request_body(content = RevocationRequest, content_type = "application/x-www-form-urlencoded"),
    security((), ("client" = [])),
    responses(
        (status = 200, description = "It is not alive, or not the client's"),
        (status = 400, description = "`invalid_request`", body = OAuthErrorBody),
        (status = 401, description = "`invalid_client`", body = OAuthErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = OAuthErrorBody),
    )
)]
pub async fn revoke(
    State(state): State<HttpState>,
    arrival: Arrival,
    form: Form,
) -> Result<Response, OAuthError> {
    let client = state.auth.clients.authenticate_client(&credentials(&form)?).await?;
    let token = form.required("token")?;
    state.auth.revoke_token(&client.id(), token, &device(&form.headers, &arrival)).await?;
    Ok(NO_STORE.into_response())
}
