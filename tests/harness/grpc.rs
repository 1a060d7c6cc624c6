//! A gRPC client for introspection.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark_proto::auth_v1::{
    BatchIntrospectRequest, IntrospectRequest, IntrospectResponse, introspection_client::IntrospectionClient,
};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

/// The gRPC port of auth-service, and the credentials of a caller.
#[derive(Clone, Debug)]
pub struct Grpc {
    channel: Channel,
    authorization: Vec<String>,
}

impl Grpc {
    /// A caller without credentials.
    pub fn at(address: SocketAddr) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self { channel, authorization: Vec::new() }
    }

    /// Authenticates with a client's id and secret.
    #[must_use]
    pub fn basic(&self, id: &str, secret: &str) -> Self {
        self.authorized(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
    }

    /// Authenticates with a service token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Self {
        self.authorized(&format!("Bearer {token}"))
    }

    /// Adds one entry `authorization` to the metadata.
    #[must_use]
    pub fn authorized(&self, authorization: &str) -> Self {
        let mut other = self.clone();
        other.authorization.push(authorization.to_owned());
        other
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub async fn introspect(&self, token: impl Into<String>) -> Result<IntrospectResponse, Status> {
        let request = self.request(IntrospectRequest { token: token.into() });
        IntrospectionClient::new(self.channel()).introspect(request).await.map(tonic::Response::into_inner)
    }

    pub async fn batch(&self, tokens: Vec<String>) -> Result<Vec<IntrospectResponse>, Status> {
        let request = self.request(BatchIntrospectRequest { tokens });
        let answer = IntrospectionClient::new(self.channel())
            .max_decoding_message_size(16 * 1024 * 1024)
            .batch_introspect(request)
            .await;
        answer.map(|answer| answer.into_inner().responses)
    }

    /// Introspects `token` and expects a refusal. Returns its code and message.
    pub async fn refused(&self, token: &str) -> (Code, String) {
        let status = self.introspect(token).await.expect_err("a refusal");
        (status.code(), status.message().to_owned())
    }

    /// A request with the credentials.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for authorization in &self.authorization {
            request.metadata_mut().append("authorization", authorization.parse().unwrap());
        }
        request
    }
}
