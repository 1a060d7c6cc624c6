//! The peers that the service is compared with: bare frameworks that answer the same bytes without any work. A peer is
//! this program in a second process, on the service's core.

use std::{env, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    http::header::CONTENT_TYPE,
    routing::{get, post},
};
use countermark::{clock::SystemClock, random::SystemRandom};
use countermark_proto::auth_v1::IntrospectRequest;
use countermark_service::{
    http::{Boundary, layers},
    limits::Limits,
    listener::{Port, serve},
    metrics::HttpMetrics,
};
use prometheus_client::registry::Registry;
use rustix::process::Pid;
use tests::process::{Process, Start};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    server::{Grpc, UnaryService},
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::server::SERVICE;

/// Argument that makes this program a peer.
pub(crate) const PEER: &str = "--peer";

/// A process that answers every request with the text of `PEER_ANSWER`.
pub(crate) struct Peer(Process);

impl Peer {
    /// Starts a peer of the kind `axum`, `layers` or `tonic`.
    pub(crate) fn start(kind: &str, answer: &str) -> Self {
        let program = env::current_exe().unwrap();
        let start = Start::on_core(program.to_str().unwrap(), SERVICE).arg(PEER).arg(kind);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self(runtime.block_on(start.env("PEER_ANSWER", answer).listen()))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address("http")
    }

    pub(crate) fn pid(&self) -> Pid {
        self.0.pid()
    }
}

/// Runs as a peer until it is killed.
pub(crate) fn run(kind: &str) {
    let answer = Bytes::from(env::var("PEER_ANSWER").unwrap());
    let kind = kind.to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        if kind == "layers" {
            let port = Port::bind("PEER", anywhere).unwrap();
            listening(port.address);
            return within_layers(port, answer).await;
        }
        let listener = TcpListener::bind(anywhere).await.unwrap();
        listening(listener.local_addr().unwrap());
        match kind.as_str() {
            "axum" => axum::serve(listener, routes(answer)).await.unwrap(),
            "tonic" => echo(listener, &answer).await,
            other => panic!("no peer {other}"),
        }
    });
}

/// Logs the address in the format of our services.
fn listening(address: SocketAddr) {
    eprintln!(r#"{{"message":"listening","http.address":"{address}"}}"#);
}

fn routes(answer: Bytes) -> Router {
    let (to_get, to_post) = (answer.clone(), answer);
    Router::new()
        .route("/get", get(async move || ([(CONTENT_TYPE, "application/json")], to_get)))
        // The body is read, because the service reads it too.
        .route("/post", post(async move |_: Bytes| ([(CONTENT_TYPE, "application/json")], to_post)))
}

/// A route without an extractor, behind the services' own listener and layers.
async fn within_layers(port: Port, answer: Bytes) {
    let metrics = HttpMetrics::register(&mut Registry::default());
    let boundary = Boundary::new(Arc::new(SystemClock::new()), Arc::new(SystemRandom), metrics);
    let routes = layers(routes(answer), boundary);
    serve(port, routes, Limits::default(), CancellationToken::new()).await;
}

/// A unary call whose answer is one text with as many bytes as the service's answer.
async fn echo(listener: TcpListener, answer: &Bytes) {
    let token = String::from_utf8(answer.to_vec()).unwrap();
    let routes = Routes::from(Router::new().route_service(
        "/auth.v1.Introspection/Introspect",
        tower::service_fn(move |request| {
            let mut grpc =
                Grpc::new(tonic_prost::ProstCodec::<IntrospectRequest, IntrospectRequest>::default());
            let echo = Echo(token.clone());
            async move { Ok::<_, std::convert::Infallible>(grpc.unary(echo, request).await) }
        }),
    ));
    Server::builder()
        .add_routes(routes)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .unwrap();
}

struct Echo(String);

impl UnaryService<IntrospectRequest> for Echo {
    type Response = IntrospectRequest;
    type Future = std::future::Ready<Result<Response<IntrospectRequest>, Status>>;

    fn call(&mut self, _: Request<IntrospectRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(IntrospectRequest { token: self.0.clone() })))
    }
}
