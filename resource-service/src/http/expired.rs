//! `POST /expired`: says whether a token has expired. It never mints anything.

use axum::{Json, extract::State};
use countermark::{
    http::{AnyAgeToken, ErrorAnswer, Guard},
    verify::{AnyAge, TokenError},
};
use countermark_service::openapi::{Operation, Reply};
use serde::Serialize;
use serde_json::json;

use super::docs::{Protected, csrf, object};

/// How long a live token has left, in seconds.
#[derive(Debug, Serialize)]
pub(super) struct TimeLeft {
    expires_in: i64,
}

pub(super) async fn show(
    AnyAgeToken(token): AnyAgeToken,
    State(guard): State<Guard>,
) -> Result<Json<TimeLeft>, ErrorAnswer> {
    match token {
        AnyAge::Live(token) => {
            let left = token.claims().exp.unix_seconds().saturating_sub(guard.now().unix_seconds());
            // With a leeway, a token lives longer than its `exp`.
            Ok(Json(TimeLeft { expires_in: left.max(0) }))
        }
        AnyAge::Expired(_) => Err(guard.refuse(&TokenError::Expired.into())),
    }
}

/// Describes `POST /expired`.
pub(super) fn describe() -> Operation {
    let left = json!({"type": "integer", "minimum": 0, "description": "Seconds until the token expires."});
    let body = object(&json!({"expires_in": left}));
    Operation::new("expired", "Tokens", "Says whether a token has expired. An expired one is 401.")
        .protected()
        .reply(csrf())
        .reply(Reply::content(200, "The token is live", "application/json", body))
}
