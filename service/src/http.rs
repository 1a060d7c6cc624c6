//! What every request passes between the socket and its route, in this order: CORS; the request's id and the client's
//! address; the limit on its body; the time-out; the net that catches a panic; and on the way back the answer's common
//! headers, the metrics, and one line in the log.
//!
//! The line has level `debug`, for the doors log refusals by themselves; `warn` when the answer is 503, and `error` for
//! any other 5xx. It names the route's pattern, and never a path, a query, a header or a body.

use std::{
    convert::Infallible,
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    address::TrustedProxies,
    metrics::{self, HttpMetrics, Route},
    telemetry,
};
use countermark::{clock::Clock, http::ErrorAnswer, random::Random};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How much of a body that is too large anyway is still read, so that its sender gets to see the answer. Bytes.
const DISCARDED: u64 = 1024 * 1024;

/// What the layers need, and what they may be told.
#[derive(Clone, Debug)]
pub struct Boundary {
    /// Measures how long a request takes.
    pub clock: Arc<dyn Clock>,
    /// Tells the request ids of one process from those of another.
    pub random: Arc<dyn Random>,
    /// Counts requests.
    pub metrics: HttpMetrics,
    /// Whose `X-Forwarded-For` is believed; nobody's by default.
    pub proxies: TrustedProxies,
    /// Whose pages may call from a browser, with credentials; nobody's by default.
    pub cors_origins: Vec<CorsOrigin>,
    /// The largest body in bytes; 16 KiB by default. Beyond 2 MiB a route must lift axum's own limit too.
    pub body_limit: u64,
    /// How long a request may take, its body included; 30 s by default. Then it is answered 408 `request_timeout` if it
    /// has a body, for it is most likely the body that did not come, and 503 otherwise.
    pub request_timeout: Duration,
    /// Below which path errors are written as OAuth has them; nowhere by default.
    pub oauth_path: Option<&'static str>,
}

impl Boundary {
    /// The defaults.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>, metrics: HttpMetrics) -> Self {
        Self {
            clock,
            random,
            metrics,
            proxies: TrustedProxies::default(),
            cors_origins: Vec::new(),
            body_limit: 16 * 1024,
            request_timeout: Duration::from_secs(30),
            oauth_path: None,
        }
    }
}

/// Where a request came from. An extractor; behind [`layers`] and [`serve`](super::listener::serve) it is whole.
#[derive(Clone, Debug)]
pub struct Arrival {
    id: HeaderValue,
    /// The client, behind trusted proxies; `0.0.0.0` when nobody said who is connected.
    pub client_address: IpAddr,
}

impl Arrival {
    /// The request's id: the client's own `X-Request-Id`, or one made here.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    fn unknown() -> Self {
        Self { id: HeaderValue::from_static("none"), client_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    }
}

impl<S: Sync> FromRequestParts<S> for Arrival {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(Self::unknown))
    }
}

/// An origin that CORS lets in: scheme, host and port as a browser writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

/// A [`CorsOrigin`] that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no origin; write it like https://app.example.com, in lower case, without a path")]
pub struct CorsOriginError;

impl FromStr for CorsOrigin {
    type Err = CorsOriginError;

    fn from_str(text: &str) -> Result<Self, CorsOriginError> {
        let uri: Uri = text.parse().map_err(|_| CorsOriginError)?;
        let written = match (uri.scheme_str(), uri.authority()) {
            (Some(scheme @ ("http" | "https")), Some(authority)) => format!("{scheme}://{authority}"),
            _ => return Err(CorsOriginError),
        };
        if written != text || text.contains(['@', '*']) || text.contains(char::is_uppercase) {
            return Err(CorsOriginError);
        }
        HeaderValue::try_from(written).map(Self).map_err(|_| CorsOriginError)
    }
}

/// `router` with all of the above around each of its routes, and our error body for 404 and 405. Call it last: a route
/// that is added later goes without.
pub fn layers(router: Router, boundary: Boundary) -> Router {
    let cors = (!boundary.cors_origins.is_empty()).then(|| cors(&boundary.cors_origins));
    let router = router
        .fallback(async || ErrorAnswer::not_found("There is nothing here"))
        .method_not_allowed_fallback(async || ErrorAnswer::method_not_allowed())
        .layer(Wear(Arc::new(Shared::new(boundary))));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn cors(origins: &[CorsOrigin]) -> CorsLayer {
    let csrf = HeaderName::from_static("x-csrf-token");
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone())))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, csrf, REQUEST_ID])
        .expose_headers([REQUEST_ID, WWW_AUTHENTICATE, RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}

/// What all routes of one router share.
struct Shared {
    boundary: Boundary,
    /// The digits that the ids of this process begin with.
    id_prefix: [u8; 16],
    id_count: AtomicU64,
}

impl Shared {
    fn new(boundary: Boundary) -> Self {
        // An id need not be secret, only its own: without randomness the time of the start has to do.
        let id_prefix = boundary
            .random
            .bytes()
            .map_or_else(|_| boundary.clock.now().unix_millis().cast_unsigned(), u64::from_be_bytes);
        Self { boundary, id_prefix: digits(id_prefix), id_count: AtomicU64::new(0) }
    }

    fn arrival(&self, request: &Request) -> Arrival {
        let id = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id.as_bytes())).cloned();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        Arrival {
            id: id.unwrap_or_else(|| self.new_id()),
            client_address: self.boundary.proxies.client_address(peer, request.headers()),
        }
    }

    /// 32 hexadecimal digits: those of the process, and those of the request.
    fn new_id(&self) -> HeaderValue {
        let count = digits(self.id_count.fetch_add(1, Ordering::Relaxed));
        let id = [self.id_prefix, count];
        HeaderValue::from_bytes(id.as_flattened()).unwrap_or_else(|_| HeaderValue::from_static("none"))
    }

    /// Whether the request's body is too large already; if that does not show yet, it is cut off at the limit.
    fn is_too_large(&self, request: &mut Request) -> bool {
        let limit = self.boundary.body_limit;
        let size = request.body().size_hint();
        // hyper holds a body to the length that it announced.
        if size.upper().is_none_or(|most| most > limit) && size.lower() <= limit {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let body = mem::take(request.body_mut());
            *request.body_mut() = Body::new(Limited::new(body, limit));
        }
        size.lower() > limit
    }

    /// The answer with what every answer has, counted and logged.
    fn finish(&self, asked: &GrantRequest, mut response: Response) -> Response {
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE && !is_json(response.headers()) {
            response = ErrorAnswer::payload_too_large().into_response();
        }
        if asked.is_oauth
            && let Some(error) = response.extensions_mut().remove::<ErrorAnswer>()
        {
            response = error.into_oauth_response();
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, asked.arrival.id.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let took = self.boundary.clock.monotonic().saturating_sub(asked.at);
        self.boundary.metrics.count(&asked.route, asked.method, response.status(), took);
        asked.log(response.status(), took);
        response
    }
}

/// What is remembered of a request until its answer.
struct GrantRequest {
    at: Duration,
    arrival: Arrival,
    route: Route,
    method: &'static str,
    has_body: bool,
    is_oauth: bool,
}

impl GrantRequest {
    fn log(&self, status: StatusCode, took: Duration) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    http.request.method = self.method,
                    http.route = self.route.as_str(),
                    http.response.status_code = status.as_u16(),
                    duration_ms = took.as_secs_f64() * 1_000.0,
                    client.address = %self.arrival.client_address,
                    "answered"
                )
            };
        }
        match status {
            StatusCode::SERVICE_UNAVAILABLE => line!(warn),
            status if status.is_server_error() => line!(error),
            _ => line!(debug),
        }
    }
}

#[derive(Clone)]
struct Wear(Arc<Shared>);

impl<S> Layer<S> for Wear {
    type Service = Worn<S>;

    fn layer(&self, inner: S) -> Worn<S> {
        Worn { shared: Arc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
struct Worn<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> Service<Request> for Worn<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Answering {
        let shared = Arc::clone(&self.shared);
        let asked = GrantRequest {
            at: shared.boundary.clock.monotonic(),
            arrival: shared.arrival(&request),
            route: Route(request.extensions().get::<MatchedPath>().cloned()),
            method: metrics::method(request.method()),
            has_body: !request.body().is_end_stream(),
            is_oauth: shared.boundary.oauth_path.is_some_and(|path| request.uri().path().starts_with(path)),
        };
        request.extensions_mut().insert(asked.arrival.clone());
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = if shared.is_too_large(&mut request) {
            Box::pin(too_large(request.into_body()))
        } else {
            Box::pin(self.inner.call(request))
        };
        Answering { shared, asked, answer, deadline: None }
    }
}

/// An answer under way. One future by hand does what a stack of layers would, without moving the request through each.
struct Answering {
    shared: Arc<Shared>,
    asked: GrantRequest,
    answer: Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>,
    /// Armed once the answer has to be waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        telemetry::within_request(&this.asked.arrival.id, || {
            let answer = this.answer.as_mut();
            let response = match panic::catch_unwind(AssertUnwindSafe(|| answer.poll(context))) {
                Ok(Poll::Ready(Ok(response))) => response,
                Ok(Poll::Pending) => {
                    let timeout = this.shared.boundary.request_timeout;
                    let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
                    ready!(deadline.as_mut().poll(context));
                    too_late(this.asked.has_body).into_response()
                }
                Err(_) => ErrorAnswer::internal().into_response(), // logged where panics are
            };
            Poll::Ready(Ok(this.shared.finish(&this.asked, response)))
        })
    }
}

async fn too_large(mut body: Body) -> Result<Response, Infallible> {
    let mut left = if body.size_hint().lower() <= DISCARDED { DISCARDED } else { 0 };
    while left > 0 {
        let Some(Ok(frame)) = body.frame().await else { break };
        let length = frame.data_ref().map_or(1, |data| data.len() as u64);
        left = left.saturating_sub(length.max(1));
    }
    Ok(ErrorAnswer::payload_too_large().into_response())
}

fn too_late(has_body: bool) -> ErrorAnswer {
    if has_body {
        let msg = "The request was not received in time";
        return ErrorAnswer::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", msg);
    }
    ErrorAnswer::unavailable("The service took too long to answer", Duration::from_secs(1))
}

/// A number as hexadecimal digits.
fn digits(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = number;
    let mut digits = [0; 16];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest & 15) as usize];
        rest >>= 4;
    }
    digits
}

fn is_request_id(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:-".contains(byte);
    (1..=128).contains(&id.len()) && id.iter().all(is_plain)
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

#[cfg(test)]
mod tests;
