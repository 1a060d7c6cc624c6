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
use countermark::{clock::SystemClock, random::SystemRandom};

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
        .route("/hangs", get(async || pending::<StatusCode>().await).post(async |_: Bytes| StatusCode::OK));
    layers(router, boundary())
}

async fn ask(request: axum::http::request::Builder, body: Body) -> (Response, String) {
    let (parts, body) =
        router().oneshot(request.header("host", "auth.test").body(body).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, Body::empty()), String::from_utf8(body.to_vec()).unwrap())
}

async fn status_and_code(request: axum::http::request::Builder, body: Body) -> (u16, String) {
    let (response, body) = ask(request, body).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    (response.status().as_u16(), body["error"].as_str().unwrap().to_owned())
}

/// A body of unknown length: `left` chunks of 1 KiB, after which it ends or stalls.
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
    assert_eq!((response.headers()["x-request-id"].to_str().unwrap(), body.as_str()), ("a.B-1:_", "a.B-1:_"));
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
async fn a_request_without_a_host_is_400_before_everything_else() {
    for request in [Request::get("/"), Request::get("/nowhere"), Request::put("/echo"), Request::options("/")]
    {
        let preflight =
            request.header(ORIGIN, "https://app.example.com").header("access-control-request-method", "GET");
        let response = router().oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(response.headers().contains_key("x-request-id"));
    }
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
        assert_eq!(status_and_code(Request::post("/echo"), Body::from(vec![b'x'; length])).await, too_large);
    }
    let streamed = Body::new(Chunks { left: 17, ends: true });
    assert_eq!(status_and_code(Request::post("/echo"), streamed).await, too_large);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_a_route_that_hangs_is_503() {
    let found = status_and_code(Request::post("/hangs"), Body::new(Chunks { left: 1, ends: false })).await;
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
    assert_eq!(
        response.headers()["access-control-expose-headers"],
        "location,x-request-id,www-authenticate,retry-after"
    );
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
    let bad =
        ["*", "null", "https://a/", "https://a/b", "https://A", "ftp://a", "a.example", "https://u@a", ""];
    for bad in bad {
        assert!(bad.parse::<CorsOrigin>().is_err(), "{bad}");
    }
}
