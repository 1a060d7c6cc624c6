//! [`Render`]: the answer to a refused request, as [`ErrorAnswer`] or in a shape of the service's own.

use std::{fmt, sync::Arc};

use axum::{
    http::request::Parts,
    response::{IntoResponse, Response},
};

use super::{ErrorAnswer, Locations};
use crate::verify::{AuthError, Claims};

/// The request and its guard, when a request is refused.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'r> {
    /// The head of the request.
    pub parts: &'r Parts,
    /// The locations where its token was looked for.
    pub locations: &'r Locations,
    /// The name of the protected space (RFC 6750 §3).
    pub realm: &'r str,
    /// The claims of the token, when its signature is verified and its issuer and audience are accepted.
    pub claims: Option<&'r Claims>,
}

/// Writes the answer to a refused request. A closure `Fn(&AuthError, &Context) -> Response` is one.
pub trait Render: Send + Sync + 'static {
    /// Writes the answer. It must not show more than [`AuthError::public_message`] does about a token that is not accepted. When
    /// nothing can be decided now, the guard adds `Retry-After` to an answer that has none.
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

/// Answers with [`ErrorAnswer`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Contract;

impl Render for Contract {
    fn render(&self, error: &AuthError, context: &Context<'_>) -> Response {
        ErrorAnswer::of(error, context.realm).into_response()
    }
}

/// A shared [`Render`].
#[derive(Clone)]
pub(super) struct Renderer(pub(super) Arc<dyn Render>);

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renderer")
    }
}

/// The response of a refused request, in place of the handler's.
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

    /// Why the request is refused; `None` when the service itself failed to look up the user.
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
