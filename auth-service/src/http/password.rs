//! `POST /password`

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use countermark::http::{AccessToken, JsonBody};
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    barrier::{Confirmation, Wait},
    device,
    docs::{CHALLENGE, OfAccount, limited},
    error::HttpError,
};

/// The password, and the one that replaces it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    #[schema(example = "password", format = Password)]
    current_password: String,
    /// 8 to 1,024 bytes of UTF-8. `minLength` and `maxLength` count characters, which is the same for ASCII only.
    #[schema(example = "correct horse battery", format = Password, min_length = 8, max_length = 1024)]
    new_password: String,
}

/// Changes the password. The account's other sessions end; this one goes on.
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

/// Describes `POST /password`.
pub(super) fn describe() -> Operation {
    let operation = Operation::new("change_password", "Accounts", "Changes the password.")
        .describe("The account's other sessions end. This one goes on. The access token must be fresh.")
        .takes::<PasswordRequest>();
    Wait::describe(operation)
        .changing_account()
        .reply(Reply::json::<Confirmation>(
            200,
            "With `wait`: it is changed; at which verifiers the other sessions ended",
        ))
        .reply(Reply::empty(204, "The password is changed"))
        .reply(
            Reply::error(
                400,
                &["invalid_request", "weak_password"],
                "The request can't be read, or nobody should have the new password: its sentence says why",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(
            Reply::error(
                401,
                &["bad_credentials", "insufficient_user_authentication", "missing_token", "invalid_token"],
                "The current password is wrong, or the token is missing, not accepted or not fresh",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(limited())
}
