//! `POST /register`

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use countermark::http::JsonBody;
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::ops::sessions::register::Registrant;

use super::{HttpState, device, docs::limited, error::HttpError};

/// The account that is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// At most 254 bytes.
    #[schema(example = "new@example.com", format = Email, min_length = 3, max_length = 254)]
    email: String,
    /// 8 to 1,024 bytes of UTF-8. `minLength` and `maxLength` count characters, which is the same for ASCII only.
    #[schema(example = "correct horse battery", format = Password, min_length = 8, max_length = 1024)]
    password: String,
    /// The code of an invitation, where accounts are made by invitation.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String)]
    invite: Option<String>,
}

/// A member that may be absent, and that is no `null` when it is there: `null` is refused in every member alike.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// The new account.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterAnswer {
    /// Its stable id: the `sub` of its tokens.
    id: String,
    /// Its address, in canonical form.
    #[schema(example = "new@example.com")]
    email: String,
}

/// Makes an account, where registration is open, or by invitation.
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

/// Describes `POST /register`.
pub(super) fn describe() -> Operation {
    Operation::new("register", "Accounts", "Makes an account.")
        .describe("`AUTH_REGISTRATION` decides whether people may make accounts for themselves.")
        .takes::<RegisterRequest>()
        .reply(Reply::json::<RegisterAnswer>(201, "The account is made"))
        .reply(Reply::error(
            400,
            &["invalid_request", "invalid_email", "weak_password"],
            "The body, the address or the password is not acceptable: its sentence says why",
        ))
        .reply(Reply::error(
            403,
            &["registration_closed"],
            "An invitation is needed, or only operators make accounts",
        ))
        .reply(Reply::error(409, &["email_taken"], "There is an account with this address"))
        .reply(limited())
}
