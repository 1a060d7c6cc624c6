//! The layers around all routes. A request passes, in this order: CORS, the request id and the client's address, the check of
//! its host, the body limit, the time-out, the panic handler. The answer then gets the common headers, is counted, and is logged in
//! one line.
//!
//! The log line has level `warn` for 503, `error` for any other 5xx, and `debug` otherwise, because the interfaces
//! log refusals themselves. It holds the route's pattern, and never a path, a query, a header or a body.

use std::{
    convert::Infallible,
    fmt, future, mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
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
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

mod cors;

use super::{
    address::{Doubts, TrustedProxies},
    host,
    metrics::{self, HttpMetrics, Route},
    telemetry,
};
use countermark::{clock::Clock, http::ErrorAnswer, random::Random};

use cors::Cors;
pub use cors::CorsOrigin;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum number of bytes that are still read of a body that is too large, so that the client receives the answer.
const DISCARDED: u64 = 1024 * 1024;

/// The configuration of the layers.
#[derive(Clone, Debug)]
pub struct Boundary {
    /// The clock that measures durations of requests.
    pub clock: Arc<dyn Clock>,
    /// The source of this process's prefix of request ids.
    pub random: Arc<dyn Random>,
    /// The metrics that count requests.
    pub metrics: HttpMetrics,
    /// The proxies that are trusted to name their client. None by default.
    pub proxies: TrustedProxies,
    /// The origins that browsers may call from, with credentials. None by default.
    pub cors_origins: Vec<CorsOrigin>,
    /// The largest body, in bytes. 16 KiB by default. Above 2 MiB a route must raise axum's own limit, too.
    pub body_limit: u64,
    /// The time-out of a request, its body included. 30 s by default. After it, a request with a body gets 408
    /// `request_timeout`, because the body probably did not arrive. A request without one gets 503.
    pub request_timeout: Duration,
    /// The path below which errors have OAuth's form. None by default.
    pub oauth_path: Option<String>,
    /// Adds to responses what their handlers do not know. None by default.
    pub completes: Option<Arc<dyn Complete>>,
}

/// Adds to a response what its handler does not know, such as the realm of a challenge.
pub trait Complete: fmt::Debug + Send + Sync + 'static {
    /// The response as it is sent.
    fn complete(&self, response: Response) -> Response;
}

impl Boundary {
    /// A boundary with the defaults.
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
            completes: None,
        }
    }
}

/// The id and the client address of a request. An extractor. It needs [`layers`] and
/// [`serve`](super::listener::serve).
#[derive(Clone, Debug)]
pub struct Arrival {
    id: HeaderValue,
    /// The client's address behind trusted proxies. `0.0.0.0` when the connection's address is unknown.
    pub client_address: IpAddr,
}

impl Arrival {
    /// The request id: the client's `X-Request-Id`, or a generated one.
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

/// Adds the layers to each route of `router`, and answers 404 and 405 with our error body. Call it last: routes that
/// are added later have no layers.
pub fn layers(router: Router, boundary: Boundary) -> Router {
    let cors = (!boundary.cors_origins.is_empty()).then(|| Cors::new(&boundary.cors_origins, REQUEST_ID));
    let router = router
        .fallback(async || ErrorAnswer::not_found("There is nothing here"))
        .method_not_allowed_fallback(async || ErrorAnswer::method_not_allowed())
        .layer(BoundaryLayer(Arc::new(Shared::new(boundary))));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// State that all routes of one router share.
struct Shared {
    boundary: Boundary,
    /// The prefix of the request ids of this process.
    id_prefix: [u8; 16],
    id_count: AtomicU64,
    doubts: Doubts,
}

impl Shared {
    fn new(boundary: Boundary) -> Self {
        // A request id must be unique, not secret. Without randomness, the start time is the prefix.
        let id_prefix = boundary
            .random
            .bytes()
            .map_or_else(|_| boundary.clock.now().unix_millis().cast_unsigned(), u64::from_be_bytes);
        Self {
            boundary,
            id_prefix: digits(id_prefix),
            id_count: AtomicU64::new(0),
            doubts: Doubts::default(),
        }
    }

    fn arrival(&self, request: &Request) -> Arrival {
        let id = request.headers().get(REQUEST_ID).filter(|id| is_request_id(id.as_bytes())).cloned();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let client = self.boundary.proxies.client_address(peer, request.headers());
        if let Some(doubt) = client.doubt {
            self.doubts.log(peer, doubt);
        }
        Arrival { id: id.unwrap_or_else(|| self.new_id()), client_address: client.address }
    }

    fn is_oauth(&self, path: &str) -> bool {
        self.boundary.oauth_path.as_ref().is_some_and(|oauth| path.starts_with(oauth))
    }

    /// 32 hexadecimal digits: the process's prefix and the request's count.
    fn new_id(&self) -> HeaderValue {
        let count = digits(self.id_count.fetch_add(1, Ordering::Relaxed));
        let id = [self.id_prefix, count];
        HeaderValue::from_bytes(id.as_flattened()).unwrap_or_else(|_| HeaderValue::from_static("none"))
    }

    /// `true` when the body is known to be too large. A body of unknown length is cut off at the limit.
    fn is_too_large(&self, request: &mut Request) -> bool {
        let limit = self.boundary.body_limit;
        let size = request.body().size_hint();
        // hyper enforces a body's announced length.
        if size.upper().is_none_or(|most| most > limit) && size.lower() <= limit {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let body = mem::take(request.body_mut());
            *request.body_mut() = Body::new(Limited::new(body, limit));
        }
        size.lower() > limit
    }

    /// Adds the common headers to the answer, counts it and logs it.
    fn finish(&self, info: &RequestInfo, mut response: Response) -> Response {
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE && !is_json(response.headers()) {
            response = ErrorAnswer::payload_too_large().into_response();
        }
        if let Some(completes) = &self.boundary.completes {
            response = completes.complete(response);
        }
        if info.is_oauth
            && let Some(error) = response.extensions_mut().remove::<ErrorAnswer>()
        {
            response = error.into_oauth_response();
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, info.arrival.id.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let took = self.boundary.clock.monotonic().saturating_sub(info.at);
        self.boundary.metrics.count(&info.route, info.method, response.status(), took);
        info.log(response.status(), took);
        response
    }
}

/// The data of a request that its answer needs.
struct RequestInfo {
    at: Duration,
    arrival: Arrival,
    route: Route,
    method: &'static str,
    has_body: bool,
    is_oauth: bool,
}

impl RequestInfo {
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
struct BoundaryLayer(Arc<Shared>);

impl<S> Layer<S> for BoundaryLayer {
    type Service = BoundaryService<S>;

    fn layer(&self, inner: S) -> BoundaryService<S> {
        BoundaryService { shared: Arc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
struct BoundaryService<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> Service<Request> for BoundaryService<S>
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
        let info = RequestInfo {
            at: shared.boundary.clock.monotonic(),
            arrival: shared.arrival(&request),
            route: Route(request.extensions().get::<MatchedPath>().cloned()),
            method: metrics::method(request.method()),
            has_body: !request.body().is_end_stream(),
            is_oauth: shared.is_oauth(request.uri().path()),
        };
        request.extensions_mut().insert(info.arrival.clone());
        let answer: Pin<Box<dyn Future<Output = _> + Send>> = match host::check(&request) {
            Err(error) => Box::pin(future::ready(Ok(ErrorAnswer::from(error).into_response()))),
            Ok(()) if shared.is_too_large(&mut request) => Box::pin(too_large(request.into_body())),
            Ok(()) => Box::pin(self.inner.call(request)),
        };
        Answering { shared, info, answer, deadline: None }
    }
}

/// The future of an answer. This single future replaces a stack of layers, which would move the request through each.
struct Answering {
    shared: Arc<Shared>,
    info: RequestInfo,
    answer: Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>,
    /// The time-out, set when the answer is not ready at once.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        telemetry::within_request(&this.info.arrival.id, || {
            let answer = this.answer.as_mut();
            let response = match panic::catch_unwind(AssertUnwindSafe(|| answer.poll(context))) {
                Ok(Poll::Ready(Ok(response))) => response,
                Ok(Poll::Pending) => {
                    let timeout = this.shared.boundary.request_timeout;
                    let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
                    ready!(deadline.as_mut().poll(context));
                    timed_out(this.info.has_body).into_response()
                }
                Err(_) => ErrorAnswer::internal().into_response(), // the panic hook has logged it
            };
            Poll::Ready(Ok(this.shared.finish(&this.info, response)))
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

fn timed_out(has_body: bool) -> ErrorAnswer {
    if has_body {
        let msg = "The request was not received in time";
        return ErrorAnswer::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", msg);
    }
    ErrorAnswer::unavailable("The service took too long to answer", Duration::from_secs(1))
}

/// Formats a number as hexadecimal digits.
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
