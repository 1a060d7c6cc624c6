//! Parses an answer into the model's types.

use serde_json::Value;
use tests::Answer;

use super::{reference::Divergence, rules::Reply};

/// A token answer.
pub(super) struct Handed {
    pub(super) access: String,
    pub(super) refresh: String,
    refresh_expires_in: i64,
    expires_in: i64,
}

impl Handed {
    /// `None` when the answer has no tokens.
    pub(super) fn of(answer: &Answer) -> Result<Option<Self>, Divergence> {
        if answer.status != 200 {
            return Ok(None);
        }
        let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let number = |name: &str| body[name].as_i64();
        let handed = (|| {
            Some(Self {
                access: text("access_token")?,
                refresh: text("refresh_token")?,
                refresh_expires_in: number("refresh_expires_in")?,
                expires_in: number("expires_in")?,
            })
        })();
        Ok(handed)
    }

    pub(super) fn reply(&self, generation: u32) -> Reply {
        let Self { refresh_expires_in, expires_in, .. } = *self;
        Reply::Handed { generation, refresh_expires_in, expires_in }
    }
}

/// The meaning of an answer without tokens.
pub(super) fn reply(answer: &Answer) -> Result<Reply, Divergence> {
    if matches!(answer.status, 200 | 204) {
        return Ok(Reply::Done);
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    Ok(match (answer.status, text("error"), text("msg")) {
        (401, "invalid_grant", _) => Reply::Refused,
        (401, "invalid_token", "The token is invalid") => Reply::NotYetValid,
        (401, "invalid_token", "The token has expired") => Reply::Expired,
        (401, "invalid_token", "The token has been revoked") => Reply::Revoked,
        (401, "insufficient_user_authentication", _) => Reply::NotFresh,
        (401, "bad_credentials", _) => Reply::BadCredentials,
        (404, "not_found", _) => Reply::NotFound,
        _ => return Err(format!("answered {answer:?}")),
    })
}
