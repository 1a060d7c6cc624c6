//! `?wait=true`: the answer waits until every watching verifier applies the revocation.

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use countermark::http::ErrorAnswer;
use countermark_service::openapi::Operation;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{HttpState, error::HttpError};
use crate::{
    domain::watcher::Watcher,
    ops::watch::barrier::{Incomplete, Revoked},
};

/// Whether the answer waits.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Wait {
    /// Answer when every watching verifier refuses the revoked tokens, or after 5 s.
    #[serde(default)]
    wait: bool,
}

/// At which verifiers a revocation holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Confirmation {
    /// Whether it holds at every watching verifier, and somebody watches for each audience of a login's tokens.
    complete: bool,
    /// The verifiers at which it may not hold yet.
    unconfirmed: Vec<Unconfirmed>,
    /// The audiences of a login's tokens that nobody watches for. Their verifiers may accept the tokens until they expire.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unwatched: Vec<String>,
    /// Why it is not complete, besides the verifiers: `unwatched` when nobody watches for an audience, `recovered` when the
    /// revocation log was replaced meanwhile, `busy` when too many wait already, so that nobody waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// A verifier that may still accept the revoked tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unconfirmed {
    /// Its name, by itself.
    name: String,
    /// Its policy when it is stale: `allow`, `introspect` or `deny`.
    policy: &'static str,
}

impl From<Watcher> for Unconfirmed {
    fn from(watcher: Watcher) -> Self {
        Self { name: watcher.who.name, policy: watcher.who.policy.as_str() }
    }
}

impl Wait {
    /// Adds the parameter to an operation.
    pub(super) fn describe(operation: Operation) -> Operation {
        let description = "Answer when every watching verifier refuses the revoked tokens, or after 5 s.";
        operation.parameter("query", "wait", description, json!({"type": "boolean", "default": false}))
    }

    /// The answer after a revocation: `otherwise` at once, or the verifiers at which it holds after the wait.
    pub async fn answer(
        self,
        state: &HttpState,
        revoked: Revoked,
        otherwise: impl IntoResponse,
    ) -> Result<Response, HttpError> {
        if !self.wait {
            return Ok(otherwise.into_response());
        }
        let confirmed = state.auth.watch.confirm(revoked).await?;
        let complete = confirmed.is_complete();
        let reason = confirmed.incomplete.map(Incomplete::as_str);
        let unwatched = confirmed.unwatched.iter().map(|audience| audience.as_str().to_owned()).collect();
        let unconfirmed = confirmed.unconfirmed.into_iter().map(Unconfirmed::from).collect();
        Ok((StatusCode::OK, Json(Confirmation { complete, unconfirmed, unwatched, reason })).into_response())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let wait = Query::<Self>::from_request_parts(parts, state).await;
        wait.map(|Query(wait)| wait).map_err(|_| ErrorAnswer::invalid_request("wait must be true or false"))
    }
}
