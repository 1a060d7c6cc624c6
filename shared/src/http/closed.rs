//! A router that is closed by default: a route is protected unless it was added as a public one, so that a forgotten
//! argument is no open door.

use axum::{Router, routing::MethodRouter};

use super::{Guard, RequireToken};
use crate::verify::Requirement;

/// A router whose routes all need a live token, but for those that are added as public. Paths that are not there need one,
/// too: what is absent looks like what is closed.
#[derive(Clone, Debug)]
#[must_use = "it serves nothing until it is made a Router"]
pub struct ClosedRouter<S = ()> {
    closed: Router<S>,
    public: Router<S>,
    layer: RequireToken,
}

impl<S: Clone + Send + Sync + 'static> ClosedRouter<S> {
    /// No routes yet; each will need a token that `guard` lets in.
    pub fn new(guard: Guard) -> Self {
        Self::requiring(RequireToken::new(guard, Requirement::live()))
    }

    /// No routes yet; each will need what `layer` asks.
    pub fn requiring(layer: RequireToken) -> Self {
        Self { closed: Router::new(), public: Router::new(), layer }
    }

    /// A closed route, as [`Router::route`].
    pub fn route(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.closed = self.closed.route(path, methods);
        self
    }

    /// All of `router` below `path`, closed, as [`Router::nest`].
    pub fn nest(mut self, path: &str, router: Router<S>) -> Self {
        self.closed = self.closed.nest(path, router);
        self
    }

    /// All of `router`, closed, as [`Router::merge`].
    pub fn merge(mut self, router: Router<S>) -> Self {
        self.closed = self.closed.merge(router);
        self
    }

    /// A route for everybody.
    pub fn public_route(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.public = self.public.route(path, methods);
        self
    }

    /// All of `router`, for everybody.
    pub fn public(mut self, router: Router<S>) -> Self {
        self.public = self.public.merge(router);
        self
    }

    /// The router, closed. What is added to it from here on is not.
    pub fn into_router(self) -> Router<S> {
        self.public.merge(self.closed.layer(self.layer))
    }
}
