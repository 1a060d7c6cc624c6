//! A service that looks at each request first, and passes it on or answers it.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use tower::Service;

/// What looks at requests.
pub trait Filter: Clone + Send + Sync + 'static {
    /// The request to pass on, or the answer.
    fn pass(&self, request: Request) -> impl Future<Output = Result<Request, Response>> + Send;
}

/// A service behind a [`Filter`].
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
        // The one that was asked whether it is ready; its clone may not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match filter.pass(request).await {
                Ok(request) => Ok(inner.call(request).await?.into_response()),
                Err(answer) => Ok(answer),
            }
        })
    }
}
