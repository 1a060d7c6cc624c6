//! [`Filtered`]: a service that checks each request first, and passes it on or answers it. It keeps the answer to a token in the
//! query out of shared caches: a cache finds answers by their URL, and would give this one to everybody who has the URL.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
};
use tower::Service;

/// Checks requests.
#[expect(unnameable_types, reason = "sealed: only the layers of this crate are filters")]
pub trait Filter: Clone + Send + Sync + 'static {
    /// Gives the request to pass on, or the answer.
    fn pass(&self, request: Request) -> impl Future<Output = Result<Passed, Response>> + Send;
}

/// A request to pass on.
#[expect(unnameable_types, reason = "sealed: only the layers of this crate are filters")]
#[derive(Debug)]
pub struct Passed {
    pub(super) request: Request,
    /// Whether its token is in its query.
    pub(super) is_in_query: bool,
}

/// The service behind [`RequireToken`](super::RequireToken) or [`BodyTokens`](super::BodyTokens).
#[derive(Clone, Debug)]
pub struct Filtered<S, F> {
    inner: S,
    filter: F,
}

impl<S, F> Filtered<S, F> {
    pub(super) fn new(inner: S, filter: F) -> Self {
        Self { inner, filter }
    }
}

impl<S, F> Service<Request> for Filtered<S, F>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    F: Filter,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let filter = self.filter.clone();
        // This service was polled and is ready; its clone may not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match filter.pass(request).await {
                Ok(Passed { request, is_in_query }) => {
                    let mut answer = inner.call(request).await?.into_response();
                    if is_in_query && answer.status().is_success() {
                        keep_private(answer.headers_mut());
                    }
                    Ok(answer)
                }
                Err(answer) => Ok(answer),
            }
        })
    }
}

/// Adds `Cache-Control: private` (RFC 6750 §2.3), unless the route itself says who may store its answer.
fn keep_private(headers: &mut HeaderMap) {
    let said = headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
    let mut directives = said.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let is_said = directives.any(|directive| {
        ["no-store", "private", "public"].iter().any(|known| directive.eq_ignore_ascii_case(known.as_bytes()))
    });
    if !is_said {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}
