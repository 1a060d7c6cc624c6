//! How do I protect a tonic service?
//!
//! A layer verifies the token of each call before the service sees the call, and hands the token to the method. Here the service
//! implements a contract of `countermark-proto`, so that the example needs no protobuf compiler.
//!
//! ```text
//! introspect with no token: Unauthenticated
//! introspect with an expired token: Unauthenticated
//! alice calls
//! introspect with a valid token: Ok
//! batch_introspect with a valid token: PermissionDenied
//! batch_introspect with a token for documents:write: Ok
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::error::Error;

use countermark::{
    clock::{Clock as _, SystemClock},
    grpc::{Guard, token, with_scope},
    testing::{ServedIssuer, TestIssuer},
};
use countermark_proto::auth_v1::{
    BatchIntrospectRequest as BatchRequest, BatchIntrospectResponse as BatchResponse, IntrospectRequest,
    IntrospectResponse,
    introspection_client::IntrospectionClient,
    introspection_server::{Introspection, IntrospectionServer},
};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    service::LayerExt as _,
    transport::server::{Server, TcpIncoming},
};

struct Service;

#[tonic::async_trait]
impl Introspection for Service {
    async fn introspect(
        &self,
        call: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        println!("{} calls", token(&call)?.claims().sub);
        Ok(Response::default())
    }

    async fn batch_introspect(&self, call: Request<BatchRequest>) -> Result<Response<BatchResponse>, Status> {
        with_scope(&call, "documents:write")?;
        Ok(Response::default())
    }
}

/// A call with a token.
fn call<M: Default>(token: &str) -> Result<Request<M>, Box<dyn Error>> {
    let mut call = Request::new(M::default());
    if !token.is_empty() {
        call.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    }
    Ok(call)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    issuer.clock().set(SystemClock::new().now());
    let served = ServedIssuer::start(issuer).await?;
    let guard = Guard::for_issuer(served.issuer().url(), "test")?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().add_service(guard.named_layer(IntrospectionServer::new(Service)));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let mut client = IntrospectionClient::connect(url).await?;
    let valid = served.issuer().token("alice");
    let expired = valid.clone().expired().sign();
    for (kind, token) in [("no token", ""), ("an expired token", &expired), ("a valid token", &valid.sign())]
    {
        let answer = client.introspect(call(token)?).await;
        println!("introspect with {kind}: {:?}", answer.map_or_else(|status| status.code(), |_| Code::Ok));
    }
    let writer = valid.clone().scope("documents:write").sign();
    for (kind, token) in [("a valid token", valid.sign()), ("a token for documents:write", writer)] {
        let answer = client.batch_introspect(call(&token)?).await;
        println!(
            "batch_introspect with {kind}: {:?}",
            answer.map_or_else(|status| status.code(), |_| Code::Ok)
        );
    }
    Ok(())
}
