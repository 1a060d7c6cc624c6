//! `GET /sessions`, `DELETE /sessions/{id}`

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use countermark::http::{AccessToken, ErrorAnswer};
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
    paging::PageQuery,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    HttpState,
    answer::NO_STORE,
    barrier::{Confirmation, Wait},
    device,
    docs::OfAccount,
    error::HttpError,
};
use crate::{domain::session_place::SessionPlace, ops::sessions::list::OwnSession};

/// The account's live sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsAnswer {
    /// Oldest first.
    sessions: Vec<SessionAnswer>,
    /// The value of `after` for the next page. `null` at the end.
    next: Option<String>,
}

/// The requested page.
pub struct Paging {
    after: Option<SessionPlace>,
    limit: u32,
}

/// The most sessions of a page.
const MOST: u32 = 500;

/// The sessions of a page, when nothing is said. An account rarely has more.
const USUAL: u32 = 100;

/// A live session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnswer {
    id: String,
    /// `User-Agent` of its last use.
    device: Option<String>,
    /// The client's address at its last use.
    address: Option<String>,
    /// The instant of the login: RFC 3339, UTC.
    created_at: String,
    /// The instant of the last refresh: RFC 3339, UTC.
    last_used_at: String,
    /// Whether the request belongs to this session.
    current: bool,
}

impl From<OwnSession> for SessionAnswer {
    fn from(session: OwnSession) -> Self {
        Self {
            id: session.id.to_string(),
            device: session.device.user_agent,
            address: session.device.address,
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            current: session.is_current,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let query = PageQuery::from_request_parts(parts, state).await?;
        let limit = query.limit().map_or(Some(USUAL), |limit| limit.parse().ok());
        let limit = limit.filter(|limit| (1..=MOST).contains(limit));
        let limit =
            limit.ok_or_else(|| ErrorAnswer::invalid_request("limit must be a number from 1 to 500"))?;
        Ok(Self { limit, after: query.after()? })
    }
}

/// The account's live sessions, oldest first.
pub async fn list(
    State(state): State<HttpState>,
    token: AccessToken,
    Paging { after, limit }: Paging,
) -> Result<impl IntoResponse, HttpError> {
    let page = state.auth.sessions.list(&token, after, limit)?;
    let sessions = page.sessions.into_iter().map(SessionAnswer::from).collect();
    let next = page.next.map(|place| place.to_string());
    Ok((NO_STORE, Json(SessionsAnswer { sessions, next })))
}

/// Describes `GET /sessions`.
pub(super) fn describe_list() -> Operation {
    Operation::new("sessions", "Sessions", "Lists the account's live sessions, the oldest first.")
        .parameter(
            "query",
            "limit",
            "The most sessions of the answer.",
            json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}),
        )
        .parameter(
            "query",
            "after",
            "`next` of the answer before; empty for the first page.",
            json!({"type": "string", "pattern": format!("^$|{}", SessionPlace::PATTERN)}),
        )
        .of_account()
        .reply(Reply::json::<SessionsAnswer>(200, "The sessions"))
}

/// Ends one of the account's sessions, its access tokens included.
pub async fn delete(
    State(state): State<HttpState>,
    token: AccessToken,
    arrival: Arrival,
    wait: Wait,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let absent = || ErrorAnswer::not_found("There is no such session");
    let id = id.parse().map_err(|_| absent())?;
    let ended = state.auth.sessions.end_own(&token, id, &device(&headers, &arrival)).await?;
    let revoked = ended.ok_or_else(absent)?;
    wait.answer(&state, revoked, StatusCode::NO_CONTENT).await
}

/// Describes `DELETE /sessions/{id}`.
pub(super) fn describe_delete() -> Operation {
    let operation = Operation::new("end_session", "Sessions", "Ends one of the account's sessions.")
        .describe("The session's access tokens are revoked too.")
        .parameter("path", "id", "The `id` of a session of `GET /sessions`", json!({"type": "string"}));
    Wait::describe(operation)
        .changing_account()
        .reply(Reply::json::<Confirmation>(200, "With `wait`: the session is over; at which verifiers"))
        .reply(Reply::empty(204, "The session is over"))
        .reply(Reply::error(404, &["not_found"], "The account has no such live session"))
}
