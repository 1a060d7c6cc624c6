//! Origins that browsers may call from.

use std::{
    convert::Infallible,
    str::FromStr,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{
        HeaderName, HeaderValue, Method,
        header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::Response,
};
use futures_util::future::Either;
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    host,
    settings::urls::{InvalidOrigin, Origin},
};

/// An origin that CORS permits: scheme, host and port as a browser writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

impl CorsOrigin {
    /// The origin, as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl FromStr for CorsOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let origin: Origin = text.parse()?;
        // A serialized origin is always a valid header value.
        HeaderValue::try_from(origin.as_str()).map(Self).map_err(|_| InvalidOrigin::default())
    }
}

/// CORS for these origins. It answers preflights by itself, so it is passed by when the host of a request is bad.
#[derive(Clone)]
pub(super) struct Cors(CorsLayer);

impl Cors {
    /// `request_id` is the header with the id of a request.
    pub(super) fn new(origins: &[CorsOrigin], request_id: HeaderName) -> Self {
        Self(layer(origins, request_id))
    }
}

impl<S: Clone> Layer<S> for Cors {
    type Service = WithCors<S>;

    fn layer(&self, inner: S) -> WithCors<S> {
        WithCors { plain: inner.clone(), cors: self.0.layer(inner) }
    }
}

#[derive(Clone)]
pub(super) struct WithCors<S> {
    plain: S,
    cors: tower_http::cors::Cors<S>,
}

impl<S> Service<Request> for WithCors<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, tower_http::cors::ResponseFuture<S::Future>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Both are the same service, and a router is ready always.
        self.cors.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match host::check(&request) {
            Ok(()) => Either::Right(self.cors.call(request)),
            Err(_) => Either::Left(self.plain.call(request)),
        }
    }
}

fn layer(origins: &[CorsOrigin], request_id: HeaderName) -> CorsLayer {
    let csrf = HeaderName::from_static("x-csrf-token");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone())))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, csrf, request_id.clone()])
        .expose_headers([LOCATION, request_id, WWW_AUTHENTICATE, RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}
