//! `/documents`: the caller's own documents. Another account's document gets the same answer as an absent one.

use std::{str::FromStr, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, header::LOCATION, request::Parts},
    response::{IntoResponse, Response},
};
use countermark::http::{ErrorAnswer, JsonBody, RequiredScope, Scoped};
use countermark_service::paging::PageQuery;
use serde::Deserialize;

use super::MAX_BODY_BYTES;
use crate::documents::{Content, Document, DocumentId, Page, PageSize, Store, StoreError};

/// The requested page.
pub(super) struct Paging {
    after: Option<DocumentId>,
    size: PageSize,
}

/// A document in a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with title and body")]
pub(super) struct Written {
    title: String,
    body: String,
}

pub(super) async fn list<S: RequiredScope + Send>(
    token: Scoped<S>,
    paging: Paging,
    State(documents): State<Store>,
) -> Result<Json<Page>, ErrorAnswer> {
    documents.list(&token.sub, paging.after, paging.size).map(Json).map_err(unavailable)
}

pub(super) async fn create<S: RequiredScope + Send>(
    token: Scoped<S>,
    State(documents): State<Store>,
    JsonBody(written): JsonBody<Written, MAX_BODY_BYTES>,
) -> Result<Response, ErrorAnswer> {
    let document = documents.create(&token.sub, written.content()?).await.map_err(unavailable)?;
    let location = format!("/documents/{}", document.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(document)).into_response())
}

pub(super) async fn show<S: RequiredScope + Send>(
    token: Scoped<S>,
    id: DocumentId,
    State(documents): State<Store>,
) -> Result<Json<Document>, ErrorAnswer> {
    let document = documents.find(&token.sub, id).map_err(unavailable)?;
    document.map(Json).ok_or_else(not_found)
}

pub(super) async fn replace<S: RequiredScope + Send>(
    token: Scoped<S>,
    id: DocumentId,
    State(documents): State<Store>,
    JsonBody(written): JsonBody<Written, MAX_BODY_BYTES>,
) -> Result<Json<Document>, ErrorAnswer> {
    let document = documents.replace(&token.sub, id, written.content()?).await.map_err(unavailable)?;
    document.map(Json).ok_or_else(not_found)
}

pub(super) async fn delete<S: RequiredScope + Send>(
    token: Scoped<S>,
    id: DocumentId,
    State(documents): State<Store>,
) -> Result<StatusCode, ErrorAnswer> {
    let deleted = documents.delete(&token.sub, id).await.map_err(unavailable)?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(not_found()) }
}

impl Written {
    fn content(self) -> Result<Content, ErrorAnswer> {
        Content::new(self.title, self.body).map_err(|error| ErrorAnswer::invalid_request(error.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let query = PageQuery::from_request_parts(parts, state).await?;
        let size = query.limit().map_or(Ok(PageSize::default()), PageSize::from_str);
        let size = size.map_err(|error| ErrorAnswer::invalid_request(error.to_string()))?;
        Ok(Self { size, after: query.after()? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DocumentId {
    type Rejection = ErrorAnswer;

    /// Reads the id in the path. An invalid id is a 404.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        id.parse().map_err(|_| not_found())
    }
}

fn not_found() -> ErrorAnswer {
    ErrorAnswer::not_found("You have no such document")
}

/// 503: the store failed. The caller did not cause it, and the same request may work later. The error is logged here, once.
#[expect(clippy::needless_pass_by_value, reason = "an error ends here, and `map_err` hands it over")]
fn unavailable(error: StoreError) -> ErrorAnswer {
    const RETRY_AFTER: Duration = Duration::from_secs(1);
    match &error {
        StoreError::Database(trouble) if trouble.is_temporary() => {
            tracing::warn!(%error, "documents unavailable");
        }
        StoreError::Database(_) | StoreError::Random(_) => {
            tracing::error!(%error, "documents unavailable");
        }
    }
    ErrorAnswer::unavailable("Documents are unavailable at the moment; try again", RETRY_AFTER)
}
