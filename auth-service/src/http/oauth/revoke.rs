//! `POST /oauth/revoke`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde_json::json;

use super::{client::credentials, docs, error::OAuthError, form::Form};
use crate::http::{HttpState, answer::NO_STORE, device};

/// Revokes a token of the client's own (RFC 7009): a refresh token with its session, an access token alone.
///
/// The answer is the same for an unknown or dead token, and for a token of another client, which stays as it is.
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

/// Describes `POST /oauth/revoke`.
pub(crate) fn describe() -> Operation {
    let operation = Operation::new("revoke", "OAuth", "Revokes a token of the client's own (RFC 7009).")
        .describe(
            "A refresh token is revoked with its session, an access token alone: a token that was exchanged from it (RFC \
             8693) lives on until its own end or the end of the session. The answer is the same for an unknown or \
             dead token, and for a token of another client, which stays as it is.",
        )
        .takes_form(docs::schema(&["token"], json!({"token": docs::token("A token of either kind.")})));
    docs::describe(operation, &[])
        .reply(Reply::empty(200, "The token is not alive, or not the client's"))
        .reply(Reply::oauth_error(400, &["invalid_request"], "The request can't be read"))
        .reply(docs::limited())
}
