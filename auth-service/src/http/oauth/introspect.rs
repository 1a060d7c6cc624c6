//! `POST /oauth/introspect`

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use countermark::verify::Claims;
use countermark_service::{
    accept::Accepted,
    openapi::{Operation, Reply},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{client::credentials, docs, error::OAuthError, form::Form};
use crate::http::{
    HttpState,
    answer::{NO_STORE, about_token},
};

/// The media type of a signed answer (RFC 9701 §4).
const SIGNED: &str = "application/token-introspection+jwt";

/// The answer (RFC 7662 §2.2): `active`, and the claims of a live token.
#[derive(Debug, Serialize)]
pub struct IntrospectionAnswer {
    /// Whether the token is alive and for an audience of the caller.
    active: bool,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(flatten)]
    claims: Option<Claims>,
}

/// Says whether a token is alive, and what it claims (RFC 7662).
///
/// The caller is a client with the scope `introspect`, or shows a service token with that scope. With `Accept:
/// application/token-introspection+jwt` the answer is signed (RFC 9701).
///
/// # Errors
/// [`OAuthError`] when the caller does not authenticate, or may not ask.
pub async fn introspect(State(state): State<HttpState>, form: Form) -> Result<Response, OAuthError> {
    let caller = state.auth.clients.authenticate_introspector(&credentials(&form)?).await?;
    let claims = state.auth.tokens.introspect(&caller, form.required("token")?)?;
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

/// Describes `POST /oauth/introspect`.
pub(crate) fn describe() -> Operation {
    let operation = Operation::new("introspect", "OAuth", "Says whether a token is alive, and its claims (RFC 7662).")
        .describe(
            "The caller is a client with the scope `introspect`, or shows a service token with that scope. With `Accept: \
             application/token-introspection+jwt` the answer is signed (RFC 9701).",
        )
        .takes_form(docs::schema(&["token"], json!({"token": docs::token("The token.")})));
    let inactive = json!({
        "type": "object",
        "required": ["active"],
        "properties": {"active": {"const": false}},
        "additionalProperties": false,
    });
    let answer = "Whether the token is alive and for an audience of the caller. The claims of a live one";
    let signed = json!({"type": "string", "description": "A JWT with the claim `token_introspection`."});
    docs::describe(operation, &["access"])
        .reply(
            Reply::content(200, answer, "application/json", json!({"oneOf": [inactive, active()]}))
                .or_content(SIGNED, signed),
        )
        .reply(Reply::oauth_error(400, &["invalid_request"], "The request can't be read"))
        .reply(Reply::oauth_error(403, &["insufficient_scope"], "The caller may not ask about tokens"))
}

/// The answer about a live token. Custom claims are further members.
fn active() -> Value {
    let (text, texts) = (json!({"type": "string"}), json!({"type": "array", "items": {"type": "string"}}));
    let instant = json!({"type": "number", "description": "Seconds since 1970."});
    json!({
        "type": "object",
        "required": ["active", "token_type", "iss", "sub", "aud", "exp"],
        "properties": {
            "active": {"const": true},
            "token_type": {"const": "Bearer"},
            "iss": text,
            "sub": text,
            "aud": {"anyOf": [text, texts]},
            "exp": instant,
            "iat": instant,
            "jti": text,
            "client_id": text,
            "scope": text,
            "roles": texts,
            "email": text,
            "sid": text,
            "auth_time": instant,
            "fresh": {"type": "boolean"},
            "amr": texts,
        },
    })
}

/// Whether the client names the signed form, and likes it at least as much as the plain one. A range with a star does not name
/// it.
fn is_signed_wanted(headers: &HeaderMap) -> bool {
    let accepted = Accepted::of(headers);
    let signed = accepted.named(SIGNED).unwrap_or_default();
    signed > 0 && signed >= accepted.weight("application", "json")
}
