//! `GET /me`

use axum::{Json, extract::State, response::IntoResponse};
use countermark::http::AccessToken;
use countermark_service::openapi::{Operation, Reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::{HttpState, answer::NO_STORE, docs::OfAccount, error::HttpError};
use crate::domain::account::Role;

/// The account that a token belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeAnswer {
    /// Its stable id: the `sub` of its tokens.
    id: String,
    #[schema(example = "test@example.com")]
    email: String,
    /// The roles of the account.
    roles: Vec<String>,
    /// The instant of creation: RFC 3339, UTC.
    #[schema(example = "2026-11-23T12:00:00Z")]
    created_at: String,
}

/// The account that the access token belongs to.
pub async fn me(State(state): State<HttpState>, token: AccessToken) -> Result<impl IntoResponse, HttpError> {
    let account = state.auth.sessions.me(&token)?;
    let body = MeAnswer {
        id: account.id.to_string(),
        email: account.email.to_string(),
        roles: account.roles.iter().map(Role::as_str).map(str::to_owned).collect(),
        created_at: account.created_at.to_string(),
    };
    Ok((NO_STORE, Json(body)))
}

/// Describes `GET /me`.
pub(super) fn describe() -> Operation {
    Operation::new("me", "Accounts", "Shows the account of the access token.")
        .of_account()
        .reply(Reply::json::<MeAnswer>(200, "The account"))
}
