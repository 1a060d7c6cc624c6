//! How do I protect a tonic service?
//!
//! A layer verifies the token of each call before the service sees the call, and hands the token to the method. Here the service
//! implements a contract of `countermark-proto`, so that the example needs no protobuf compiler. Its second method needs a scope.
//!
//! ```text
//! no token: Unauthenticated, Unauthenticated
//! an expired token: Unauthenticated, Unauthenticated
//! alice calls
//! a valid token: Ok, PermissionDenied
//! alice calls
//! a token for documents:write: Ok, Ok
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::error::Error;

use countermark::{
    clock::{Clock as _, SystemClock},
    grpc::{Guard, token, with_scope},
    testing::{ServedIssuer, TestIssuer},
};
use countermark_proto::auth_v1::{
    BatchIntrospectRequest as Batch, BatchIntrospectResponse as BatchAnswer, IntrospectRequest as One,
    IntrospectResponse as Answer, introspection_client::IntrospectionClient, introspection_server as server,
};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic::{Code, Request, Response, Status, service::LayerExt as _};

struct Service;

#[tonic::async_trait]
impl server::Introspection for Service {
    async fn introspect(&self, call: Request<One>) -> Result<Response<Answer>, Status> {
        println!("{} calls", token(&call)?.claims().sub);
        Ok(Response::new(Answer::default()))
    }

    async fn batch_introspect(&self, call: Request<Batch>) -> Result<Response<BatchAnswer>, Status> {
        with_scope(&call, "documents:write")?;
        Ok(Response::new(BatchAnswer::default()))
    }
}

type Client = IntrospectionClient<Channel>;

/// Calls both methods with a token, and prints the codes of the answers.
async fn show(client: &mut Client, kind: &str, token: &str) -> Result<(), Box<dyn Error>> {
    let (mut one, mut two) = (Request::new(One::default()), Request::new(Batch::default()));
    for metadata in [one.metadata_mut(), two.metadata_mut()].into_iter().filter(|_| !token.is_empty()) {
        metadata.insert("authorization", format!("Bearer {token}").parse()?);
    }
    let (one, two) = (client.introspect(one).await.err(), client.batch_introspect(two).await.err());
    let [one, two] = [one, two].map(|status| status.map_or(Code::Ok, |status| status.code()));
    println!("{kind}: {one:?}, {two:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    issuer.clock().set(SystemClock::new().now());
    let served = ServedIssuer::start(issuer).await?;
    let guard = Guard::for_issuer(served.issuer().url(), "test")?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let service = guard.named_layer(server::IntrospectionServer::new(Service));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));

    let mut client = IntrospectionClient::connect(url).await?;
    let token = served.issuer().token("alice");
    show(&mut client, "no token", "").await?;
    show(&mut client, "an expired token", &token.clone().expired().sign()).await?;
    show(&mut client, "a valid token", &token.sign()).await?;
    show(&mut client, "a token for documents:write", &token.scope("documents:write").sign()).await
}
