//! `POST /oauth/introspect`

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use countermark::verify::Claims;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    client::credentials,
    error::{OAuthError, OAuthErrorBody},
    form::Form,
};
use crate::http::{
    HttpState,
    answer::{NO_STORE, about_token},
};

/// The media type of a signed answer (RFC 9701 §4).
const SIGNED: &str = "application/token-introspection+jwt";

/// What is asked; a form, not JSON.
#[derive(Deserialize, ToSchema)]
pub struct IntrospectionRequest {
    /// The token.
    #[serde(rename = "token")]
    _token: String,
}

/// What is answered (RFC 7662 §2.2): `active`, and the claims of a token that is.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntrospectionAnswer {
    /// Whether it is alive, and for an audience of the caller.
    active: bool,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    claims: Option<Claims>,
}

/// Says whether a token is alive, and what it claims (RFC 7662).
///
/// The caller is a client with the scope `introspect`, or shows a service token with that scope. With `Accept:
/// application/token-introspection+jwt` the answer is signed (RFC 9701).
///
/// # Errors
/// [`OAuthError`] when the caller does not authenticate, or may not ask.
#[utoipa::path(
    post,
    path = "/oauth/introspect",
    tag = "OAuth",
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    security(("client" = []), ("access" = [])),
    responses(
        (status = 200, description = "Whether it is alive; whatever is not alive and the caller's own is inactive, and nothing else", body = IntrospectionAnswer),
        (status = 400, description = "`invalid_request`", body = OAuthErrorBody),
        (status = 401, description = "`invalid_client`", body = OAuthErrorBody),
        (status = 403, description = "`insufficient_scope`", body = OAuthErrorBody),
    )
)]
pub async fn introspect(State(state): State<HttpState>, form: Form) -> Result<Response, OAuthError> {
    let caller = state.auth.clients.authenticate_introspector(&credentials(&form)?).await?;
    let claims = state.auth.tokens.introspect(&caller, form.required("token")?);
    let answer = IntrospectionAnswer {
        active: claims.is_some(),
        token_type: claims.is_some().then_some("Bearer"),
        claims: claims.map(Arc::unwrap_or_clone),
    };
    if is_signed_wanted(&form.headers) {
        let signed = state.auth.tokens.sign_introspection(&caller, &answer)?;
        return Ok((NO_STORE, [(header::CONTENT_TYPE, SIGNED)], signed).into_response());
    }
    Ok(about_token(&answer))
}

fn is_signed_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(SIGNED)))
}
