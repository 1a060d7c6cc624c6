//! `POST /refresh`

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::header,
    response::IntoResponse,
};
use serde::Deserialize;
use shared::{
    http::{ErrorAnswer, JsonBody, Refusal, body, location},
    service::http::Arrival,
};
use utoipa::ToSchema;

use super::{Door, answer::TokenAnswer, device, docs::ErrorBody, error::HttpError};
use crate::domain::client::ClientId;

/// The refresh token, for those who don't show it as Bearer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    #[schema(example = "rt_…")]
    refresh_token: String,
}

/// Spends the refresh token, and hands out its successor with an access token that is not fresh.
///
/// A client that lost the answer may retry with the same token: within the grace window it gets the same successor.
///
/// # Errors
/// [`HttpError`] when the hall refuses or fails.
#[utoipa::path(
    post,
    path = "/refresh",
    tag = "Sessions",
    request_body(content = Option<RefreshRequest>, description = "Or none, with the refresh token as Bearer"),
    security((), ("refresh" = [])),
    responses(
        (status = 200, description = "An access token that is not fresh, and the next refresh token", body = TokenAnswer),
        (status = 400, description = "`invalid_request`: two tokens, or a body not of this shape", body = ErrorBody),
        (status = 401, description = "`missing_token`, or `invalid_grant` whatever the cause", body = ErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = ErrorBody),
    )
)]
pub async fn refresh(
    State(door): State<Door>,
    arrival: Arrival,
    request: Request,
) -> Result<impl IntoResponse, HttpError> {
    let device = device(request.headers(), &arrival);
    let token = shown(&door, request).await?;
    let tokens = door.hall.refresh(&token, &ClientId::first_party(), device).await;
    tokens.map(TokenAnswer::respond).map_err(|error| HttpError::new(&error, &door.guard))
}

/// The one refresh token that the request shows.
async fn shown(door: &Door, request: Request) -> Result<String, ErrorAnswer> {
    let refuse = |refusal| door.guard.refuse(&refusal);
    let in_header = location::in_header(request.headers()).map_err(refuse)?;
    let in_body = in_body(request).await?;
    match (in_header, in_body) {
        (Some(_), Some(_)) => Err(refuse(Refusal::SeveralTokens)),
        (Some(token), None) | (None, Some(token)) => Ok(token),
        (None, None) => Err(refuse(Refusal::MissingToken)),
    }
}

/// The token of a JSON body; `None` when there is no body, whatever its content type says it is.
async fn in_body(request: Request) -> Result<Option<String>, ErrorAnswer> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, body::MAX_BYTES).await.map_err(|_| ErrorAnswer::payload_too_large())?;
    if body.is_empty() {
        return Ok(None);
    }
    let JsonBody::<RefreshRequest>(shown) = JsonBody::parse(parts.headers.get(header::CONTENT_TYPE), &body)?;
    Ok(Some(shown.refresh_token))
}
