//! How a error is answered: by our contract, or by whatever a service hands in instead.

use std::{fmt, sync::Arc};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::{ErrorAnswer, Locations};
use crate::verify::{AuthError, Claims};

/// What is known when a request is refused.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'r> {
    /// The head of the request.
    pub parts: &'r Parts,
    /// Where its token was looked for.
    pub locations: &'r Locations,
    /// The name of the protected space (RFC 6750 §3).
    pub realm: &'r str,
    /// What the token claims, when its signature is proven and it is of an accepted issuer and audience.
    pub claims: Option<&'r Claims>,
}

/// Writes the answer to a error. A closure `Fn(&AuthError, &Context) -> Response` is one.
pub trait Render: Send + Sync + 'static {
    /// The answer. It must tell no more than [`AuthError::answer`] does about why a token is not believed. When nothing can
    /// be judged now, the guard adds `Retry-After` to an answer that has none.
    fn render(&self, error: &AuthError, context: &Context<'_>) -> Response;
}

impl<F> Render for F
where
    F: Fn(&AuthError, &Context<'_>) -> Response + Send + Sync + 'static,
{
    fn render(&self, error: &AuthError, context: &Context<'_>) -> Response {
        self(error, context)
    }
}

/// Answers by our contract: [`ErrorAnswer`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Contract;

impl Render for Contract {
    fn render(&self, error: &AuthError, context: &Context<'_>) -> Response {
        ErrorAnswer::of(error, context.realm).into_response()
    }
}

/// A [`Render`] that is shared.
#[derive(Clone)]
pub(super) struct Renderer(pub(super) Arc<dyn Render>);

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renderer")
    }
}

/// What an extractor answers in place of the handler.
#[derive(Debug)]
pub struct Rejection(Box<Inner>);

#[derive(Debug)]
struct Inner {
    error: Option<AuthError>,
    response: Response,
}

impl Rejection {
    pub(super) fn new(error: AuthError, response: Response) -> Self {
        Self(Box::new(Inner { error: Some(error), response }))
    }

    /// Why; `None` when the service itself failed, in its look-up of the user.
    #[must_use]
    pub fn error(&self) -> Option<&AuthError> {
        self.0.error.as_ref()
    }
}

impl From<ErrorAnswer> for Rejection {
    fn from(answer: ErrorAnswer) -> Self {
        Self(Box::new(Inner { error: None, response: answer.into_response() }))
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.0.response
    }
}
