//! `POST /expired`: tells a client whether its token is past its time. It never mints anything.

use axum::{Json, extract::State};
use countermark::{
    http::{AnyAgeToken, ErrorAnswer, Guard},
    verify::{AnyAge, TokenError},
};
use serde::Serialize;

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
            // A leeway lets a token live past its own end.
            Ok(Json(TimeLeft { expires_in: left.max(0) }))
        }
        AnyAge::Expired(_) => Err(guard.refuse(&TokenError::Expired.into())),
    }
}
