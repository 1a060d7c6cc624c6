//! `POST /logout`, `POST /logout-all`

use axum::{
    Json,
    extract::{Request, State},
    http::HeaderMap,
    response::IntoResponse,
};
use countermark::{
    http::AccessToken,
    verify::{AnyAge, AuthError, REFRESH_TOKEN_PREFIX, TokenError},
};
use countermark_service::http::Arrival;
use serde_json::json;

use super::{
    HttpState,
    barrier::{Confirmation, Wait},
    cookies, device,
    docs::ErrorBody,
    error::HttpError,
    refresh,
};
use crate::{domain::session::Device, ops::watch::barrier::Revoked};

/// Ends the session of an access token, which may have expired, or of a refresh token, of any generation.
///
/// A session that is over already stays over: the answer is the same.
///
/// # Errors
/// [`HttpError`] when the hall refuses or fails.
#[utoipa::path(
    post,
    path = "/logout",
    tag = "Sessions",
    params(Wait),
    request_body(content = Option<refresh::RefreshRequest>, description = "Or none, with either token as Bearer"),
    security(("access" = []), ("refresh" = [])),
    responses(
        (status = 200, description = "The session is over, its access tokens included; with `wait`, how far that is \
                                      known", body = Option<Confirmation>),
        (status = 401, description = "`missing_token`, `invalid_token` or `invalid_grant`", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = ErrorBody),
    )
)]
pub async fn logout(
    State(state): State<HttpState>,
    arrival: Arrival,
    wait: Wait,
    request: Request,
) -> Result<impl IntoResponse, HttpError> {
    let device = device(request.headers(), &arrival);
    let (head, body) = request.into_parts();
    let parts = head.clone();
    let revoked = match refresh::shown(Request::from_parts(head, body)).await? {
        Some(token) if token.starts_with(REFRESH_TOKEN_PREFIX) => {
            state.auth.sessions.logout_with_refresh_token(&token, &device).await?
        }
        Some(token) => {
            by_access_token(&state, state.guard.verify_token_any_age(&token).await.map(Some), &device).await?
        }
        None => by_access_token(&state, state.guard.verify_any_age(&parts).await, &device).await?,
    };
    Ok(cookies::cleared(wait.answer(&state, revoked, Json(json!({}))).await?, state.cookie_domain()))
}

async fn by_access_token(
    state: &HttpState,
    verified: Result<Option<AnyAge>, AuthError>,
    device: &Device,
) -> Result<Revoked, HttpError> {
    match verified {
        Ok(Some(token)) => Ok(state.auth.sessions.logout(token.claims(), device).await?),
        // The session ended before, which is all that a logout asks for.
        Err(AuthError::Token(TokenError::Revoked)) => Ok(state.auth.watch.revoked_so_far()?),
        Ok(None) => Err(AuthError::MissingToken.into()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Ends every session of the account.
///
/// # Errors
/// [`HttpError`] when the hall refuses or fails.
#[utoipa::path(
    post,
    path = "/logout-all",
    tag = "Sessions",
    params(Wait),
    security(("access" = [])),
    responses(
        (status = 200, description = "Every session of the account is over, this one included; with `wait`, how \
                                      far that is known", body = Option<Confirmation>),
        (status = 401, description = "`missing_token` or `invalid_token`", body = ErrorBody),
        (status = 403, description = "`insufficient_scope`: a service token", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = ErrorBody),
    )
)]
pub async fn logout_all(
    State(state): State<HttpState>,
    token: AccessToken,
    arrival: Arrival,
    wait: Wait,
    headers: HeaderMap,
) -> Result<impl IntoResponse, HttpError> {
    let revoked = state.auth.sessions.logout_all(&token, &device(&headers, &arrival)).await?;
    Ok(cookies::cleared(wait.answer(&state, revoked, Json(json!({}))).await?, state.cookie_domain()))
}
