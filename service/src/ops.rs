//! The operations port: liveness, readiness and metrics; and the client of the `healthcheck` command.
//!
//! Serve it with a stop token of its own, cancelled after the public ports have drained. So it answers until the end.

use std::{
    fmt::Debug,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::host::CheckHost;
use countermark::http::ErrorAnswer;

/// The readiness check of a service.
pub trait Readiness: Debug + Send + Sync + 'static {
    /// Called for each `/health/ready`. It must be quick and must not block.
    ///
    /// # Errors
    /// The reason why the service is not ready, in a few words without secrets.
    fn check(&self) -> Result<(), String>;

    /// Further members of the answer, in both cases.
    fn standing(&self) -> Map<String, Value> {
        Map::new()
    }
}

/// The routes of the operations port. After `stop` is cancelled, the service is not ready.
pub fn router(readiness: Arc<dyn Readiness>, registry: Arc<Registry>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/health/live", get(async || Json(json!({"status": "live"}))))
        .route("/health/ready", get(ready).with_state((readiness, stop)))
        .route("/metrics", get(metrics).with_state(registry))
        .fallback(async || ErrorAnswer::not_found("There is nothing here"))
        .layer(CheckHost)
}

/// Asks the operations port at `address` whether the service is ready. Uses the loopback address when `address` is
/// unspecified. Blocks, at most about 3 s per step.
///
/// # Errors
/// The reason why the service is not ready or can't be reached.
pub fn healthcheck(address: SocketAddr) -> Result<(), String> {
    let address = reachable(address);
    let answer = ask(address).map_err(|error| format!("{address} does not answer: {error}"))?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("not ready: {}", answer.lines().last().unwrap_or("no answer"))),
    }
}

async fn ready(
    State((readiness, stop)): State<(Arc<dyn Readiness>, CancellationToken)>,
) -> (StatusCode, Json<Value>) {
    let checked = if stop.is_cancelled() { Err("stopping".to_owned()) } else { readiness.check() };
    let mut body = readiness.standing();
    let (code, status) = match checked {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(reason) => {
            body.insert("reason".to_owned(), reason.into());
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        }
    };
    body.insert("status".to_owned(), status.into());
    (code, Json(body.into()))
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, KIND)], text).into_response(),
        Err(_) => ErrorAnswer::internal().into_response(),
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    const PATIENCE: Duration = Duration::from_secs(3);
    const ENOUGH: u64 = 8 * 1024;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{
        limits::Limits,
        listener::{Port, serve},
        metrics::{HttpMetrics, Route},
    };

    #[derive(Debug, Default)]
    struct Store(AtomicBool);

    impl Readiness for Store {
        fn check(&self) -> Result<(), String> {
            if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err("the store is gone".to_owned()) }
        }
    }

    async fn check(address: SocketAddr) -> Result<(), String> {
        tokio::task::spawn_blocking(move || healthcheck(address)).await.unwrap()
    }

    #[tokio::test]
    async fn readiness_follows_the_store_and_falls_at_the_stop() {
        let (store, stop) = (Arc::new(Store::default()), CancellationToken::new());
        let port = Port::bind("AUTH_OPS_ADDR", ([0, 0, 0, 0], 0).into()).unwrap();
        let address = port.address;
        let router = router(Arc::clone(&store) as _, Arc::default(), stop.clone());
        tokio::spawn(serve(port, router, Limits::default(), CancellationToken::new()));
        let gone = check(address).await.unwrap_err();
        assert!(gone.contains("the store is gone"), "{gone}");
        store.0.store(true, Ordering::Relaxed);
        assert_eq!(check(address).await, Ok(()));
        stop.cancel();
        assert!(check(address).await.unwrap_err().contains("stopping"));
    }

    #[tokio::test]
    async fn metrics_are_readable() {
        let mut registry = Registry::default();
        let route = Route(None);
        HttpMetrics::register(&mut registry).count(&route, "GET", StatusCode::OK, Duration::from_millis(1));
        let response = metrics(State(Arc::new(registry))).await;
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        assert!(String::from_utf8(body.to_vec()).unwrap().contains("# TYPE http_requests counter"));
    }

    #[test]
    fn a_port_without_listener_does_not_answer() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(healthcheck(unused).unwrap_err().contains("does not answer"));
    }
}
