//! [`ClosedRouter`]: a router that is closed by default. A route needs a token unless it was added as a public one, so a
//! forgotten argument does not open it.

use axum::{Router, routing::MethodRouter};

use super::{Guard, RequireToken};
use crate::verify::Requirement;

/// A router whose routes all need a live token, except those that are added as public. A path without a route needs a token
/// too, so callers can't see which routes exist.
#[derive(Clone, Debug)]
#[must_use = "it serves nothing until it is made a Router"]
pub struct ClosedRouter<S = ()> {
    closed: Router<S>,
    public: Router<S>,
    layer: RequireToken,
}

impl<S: Clone + Send + Sync + 'static> ClosedRouter<S> {
    /// Makes a router without routes. Each closed route will need a token that `guard` accepts.
    pub fn new(guard: Guard) -> Self {
        Self::requiring(RequireToken::new(guard, Requirement::live()))
    }

    /// Makes a router without routes. Each closed route will need what `layer` requires.
    pub fn requiring(layer: RequireToken) -> Self {
        Self { closed: Router::new(), public: Router::new(), layer }
    }

    /// Adds a closed route, as [`Router::route`] does.
    pub fn route(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.closed = self.closed.route(path, methods);
        self
    }

    /// Adds all routes of `router` below `path`, closed, as [`Router::nest`] does.
    pub fn nest(mut self, path: &str, router: Router<S>) -> Self {
        self.closed = self.closed.nest(path, router);
        self
    }

    /// Adds all routes of `router`, closed, as [`Router::merge`] does.
    pub fn merge(mut self, router: Router<S>) -> Self {
        self.closed = self.closed.merge(router);
        self
    }

    /// Adds a public route.
    pub fn public_route(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.public = self.public.route(path, methods);
        self
    }

    /// Adds all routes of `router`, public.
    pub fn public(mut self, router: Router<S>) -> Self {
        self.public = self.public.merge(router);
        self
    }

    /// Makes the router. Routes that are added to it later are not closed.
    pub fn into_router(self) -> Router<S> {
        self.public.merge(self.closed.layer(self.layer))
    }
}
