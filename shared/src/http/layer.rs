//! [`RequireToken`]: a layer that protects all routes below it, independent of the arguments of their handlers.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use tower::Layer;

use super::{
    Guard, Location, Rejection,
    admit::Need,
    body::MAX_BODY_BYTES,
    body_token,
    filter::{Filter, Filtered, Passed},
};
use crate::verify::{AuthError, Requirement};

/// A layer that passes requests with a live token that meets a requirement. Handlers below may use extractors of the same
/// guard; the token is verified once.
#[derive(Clone, Debug)]
pub struct RequireToken {
    guard: Guard,
    requirement: Requirement,
    is_optional: bool,
    body_limit: usize,
}

impl RequireToken {
    /// Requires a token that `guard` accepts and that meets `requirement`.
    #[must_use]
    pub fn new(guard: Guard, requirement: Requirement) -> Self {
        Self { guard, requirement, is_optional: false, body_limit: MAX_BODY_BYTES }
    }

    /// Passes requests without a token too. An expired token of a cookie counts as absent. Every other bad token is still refused.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// Reads at most `bytes` of a body, where tokens may be in bodies. The default is 16 KiB. A longer body is answered with 413.
    #[must_use]
    pub fn with_body_limit(self, bytes: usize) -> Self {
        Self { body_limit: bytes, ..self }
    }

    async fn admit(&self, request: Request) -> Result<Passed, Rejection> {
        let Self { guard, requirement, is_optional, body_limit } = self;
        if guard.exempts(request.method()) {
            return Ok(Passed { request, is_in_query: false });
        }
        let request = body_token::take(request, guard.locations(), *body_limit).await?;
        let (mut parts, body) = request.into_parts();
        let need = if *is_optional { Need::Optional } else { Need::Required };
        let admitted = guard.admit(&parts, need, |claims, now| requirement.check(claims, now)).await;
        let is_in_query = match admitted {
            Ok(Some(admitted)) => {
                let is_in_query = admitted.shown.location() == Location::Query;
                parts.extensions.insert(admitted);
                is_in_query
            }
            Ok(None) if *is_optional => false,
            Ok(None) => return Err(guard.reject(&parts, AuthError::MissingToken)),
            Err(failure) => return Err(guard.reject_failure(&parts, failure)),
        };
        Ok(Passed { request: Request::from_parts(parts, body), is_in_query })
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = Filtered<S, Self>;

    fn layer(&self, inner: S) -> Filtered<S, Self> {
        Filtered::new(inner, self.clone())
    }
}

impl Filter for RequireToken {
    async fn pass(&self, request: Request) -> Result<Passed, Response> {
        self.admit(request).await.map_err(IntoResponse::into_response)
    }
}
