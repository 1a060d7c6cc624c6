//! Lists that are read page by page: `limit` and `after` in the query.

use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use countermark::http::ErrorAnswer;
use serde::Deserialize;

/// The query of a page. Other parameters are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct PageQuery {
    limit: Option<String>,
    after: Option<String>,
}

impl PageQuery {
    /// The most entries of the page, as they are written; `None` when the request names no number.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// The entry after which the page begins. An empty text is the first page, so that a client needs no special case for it.
    ///
    /// # Errors
    /// 400 when the text can't be `next` of an earlier answer.
    pub fn after<T: FromStr>(&self) -> Result<Option<T>, ErrorAnswer> {
        let after = self.after.as_deref().filter(|after| !after.is_empty());
        let msg = "after must be the value of next in an earlier answer";
        after.map(str::parse).transpose().map_err(|_| ErrorAnswer::invalid_request(msg))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let query = Query::<Self>::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| query)
            .map_err(|_| ErrorAnswer::invalid_request("limit and after may each be given once"))
    }
}
