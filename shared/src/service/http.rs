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
use crate::{clock::Clock, http::error::ErrorAnswer, random::Random};

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
    fn finish(&self, asked: &Asked, mut response: Response) -> Response {
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
struct Asked {
    at: Duration,
    arrival: Arrival,
    route: Route,
    method: &'static str,
    has_body: bool,
    is_oauth: bool,
}

impl Asked {
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
        let asked = Asked {
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
    asked: Asked,
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
mod tests {
    use std::future::pending;

    use axum::{
        body::Bytes,
        http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, ORIGIN},
        routing::{get, post},
    };
    use hyper::body::Frame;
    use prometheus_client::registry::Registry;
    use tower::ServiceExt;

    use super::*;
    use crate::{clock::SystemClock, random::SystemRandom};

    fn boundary() -> Boundary {
        let metrics = HttpMetrics::register(&mut Registry::default());
        let mut boundary = Boundary::new(Arc::new(SystemClock::new()), Arc::new(SystemRandom), metrics);
        boundary.cors_origins = vec!["https://app.example.com".parse().unwrap()];
        boundary.request_timeout = Duration::from_millis(20);
        boundary
    }

    fn router() -> Router {
        async fn panics() -> StatusCode {
            panic!("as it should")
        }
        let router = Router::new()
            .route("/", get(async |arrival: Arrival| arrival.request_id().to_owned()))
            .route("/echo", post(async |body: Bytes| body))
            .route("/panics", get(panics))
            .route(
                "/hangs",
                get(async || pending::<StatusCode>().await).post(async |_: Bytes| StatusCode::OK),
            );
        layers(router, boundary())
    }

    async fn ask(request: axum::http::request::Builder, body: Body) -> (Response, String) {
        let (parts, body) = router().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, Body::empty()), String::from_utf8(body.to_vec()).unwrap())
    }

    async fn status_and_code(request: axum::http::request::Builder, body: Body) -> (u16, String) {
        let (response, body) = ask(request, body).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (response.status().as_u16(), body["error"].as_str().unwrap().to_owned())
    }

    /// A body of unannounced length: so many chunks of 1 KiB, and then nothing any more, ended or not.
    struct Chunks {
        left: usize,
        ends: bool,
    }

    impl HttpBody for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return if self.ends { Poll::Ready(None) } else { Poll::Pending };
            }
            self.left -= 1;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
        }
    }

    #[tokio::test]
    async fn a_request_id_is_taken_or_made() {
        let (response, body) = ask(Request::get("/").header("x-request-id", "a.B-1:_"), Body::empty()).await;
        assert_eq!(
            (response.headers()["x-request-id"].to_str().unwrap(), body.as_str()),
            ("a.B-1:_", "a.B-1:_")
        );
        for bad in ["", "a b", "a\tb", "<x>", &"x".repeat(129)] {
            let (response, body) = ask(Request::get("/").header("x-request-id", bad), Body::empty()).await;
            assert_eq!(response.headers()["x-request-id"].to_str().unwrap(), body);
            assert!(is_request_id(body.as_bytes()) && body != bad, "{body}");
        }
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }

    #[tokio::test]
    async fn an_unknown_path_or_method_is_answered_in_our_body() {
        let found = status_and_code(Request::get("/nowhere"), Body::empty()).await;
        assert_eq!(found, (404, "not_found".to_owned()));
        let found = status_and_code(Request::put("/echo"), Body::empty()).await;
        assert_eq!(found, (405, "method_not_allowed".to_owned()));
        let (response, _) = ask(Request::put("/echo"), Body::empty()).await;
        assert_eq!(response.headers()[ALLOW], "POST");
        assert!(response.headers().contains_key("x-request-id"));
    }

    #[tokio::test]
    async fn a_panic_is_500_and_takes_nothing_down() {
        let found = status_and_code(Request::get("/panics"), Body::empty()).await;
        assert_eq!(found, (500, "internal".to_owned()));
    }

    #[tokio::test]
    async fn a_body_past_the_limit_is_413_however_it_comes() {
        let at_limit = ask(Request::post("/echo"), Body::from(vec![b'x'; 16 * 1024])).await;
        assert_eq!(at_limit.1.len(), 16 * 1024);
        let streamed = ask(Request::post("/echo"), Body::new(Chunks { left: 16, ends: true })).await;
        assert_eq!(streamed.1.len(), 16 * 1024);
        let too_large = (413, "payload_too_large".to_owned());
        for length in [16 * 1024 + 1, 2 * 1024 * 1024] {
            assert_eq!(
                status_and_code(Request::post("/echo"), Body::from(vec![b'x'; length])).await,
                too_large
            );
        }
        let streamed = Body::new(Chunks { left: 17, ends: true });
        assert_eq!(status_and_code(Request::post("/echo"), streamed).await, too_large);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_408_and_a_route_that_hangs_is_503() {
        let found =
            status_and_code(Request::post("/hangs"), Body::new(Chunks { left: 1, ends: false })).await;
        assert_eq!(found, (408, "request_timeout".to_owned()));
        let found = status_and_code(Request::get("/hangs"), Body::empty()).await;
        assert_eq!(found, (503, "temporarily_unavailable".to_owned()));
    }

    #[tokio::test]
    async fn only_configured_origins_may_read_an_answer() {
        let ours = Request::get("/panics").header(ORIGIN, "https://app.example.com");
        let (response, _) = ask(ours, Body::empty()).await;
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.com");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        for origin in ["https://app.example.com.evil.example", "http://app.example.com", "null"] {
            let (response, _) = ask(Request::get("/").header(ORIGIN, origin), Body::empty()).await;
            assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}");
        }
        let preflight = Request::options("/echo")
            .header(ORIGIN, "https://app.example.com")
            .header("access-control-request-method", "POST");
        let (response, _) = ask(preflight, Body::empty()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["access-control-allow-methods"], "GET,POST,PUT,DELETE");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for good in ["https://app.example.com", "http://localhost:3000", "http://[::1]:8080"] {
            assert!(good.parse::<CorsOrigin>().is_ok(), "{good}");
        }
        let bad = [
            "*",
            "null",
            "https://a/",
            "https://a/b",
            "https://A",
            "ftp://a",
            "a.example",
            "https://u@a",
            "",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<CorsOrigin>(), Err(CorsOriginError), "{bad}");
        }
    }
}
