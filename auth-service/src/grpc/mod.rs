//! HttpState two: gRPC. The same hall, and the same listener as HTTP, so both ports have the same caps and drain alike.

pub mod caller;
pub mod deadline;
pub mod error;
pub mod health;
pub mod introspection;
pub mod revocations;

use std::sync::Arc;

use axum::Router;
use countermark_proto::{
    FILE_DESCRIPTOR_SET,
    auth_v1::{introspection_server::IntrospectionServer, revocations_server::RevocationsServer},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{pb::health_server::HealthServer, server::HealthService};
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::ops::AuthService;
use deadline::Deadline;
use introspection::Introspector;
use revocations::Revoker;

/// A batch of 1,000 tokens fits; it is the largest message that any service here takes.
const INTROSPECTION_BYTES: usize = 4 * 1024 * 1024;

/// Every other service takes small messages.
const OTHER_BYTES: usize = 64 * 1024;

/// Every service of the gRPC port. What goes on without end is ended by `stop`.
///
/// # Errors
/// [`ReflectionError`] never happens with a contract that was compiled in.
pub fn routes(
    auth: Arc<AuthService>,
    health: HealthService,
    with_reflection: bool,
    stop: CancellationToken,
) -> Result<Router, ReflectionError> {
    let introspection = IntrospectionServer::new(Introspector::new(Arc::clone(&auth)))
        .max_decoding_message_size(INTROSPECTION_BYTES);
    let revocations = RevocationsServer::new(Revoker::new(auth, stop)).max_decoding_message_size(OTHER_BYTES);
    let health = HealthServer::new(health).max_decoding_message_size(OTHER_BYTES);
    let mut routes = Routes::new(introspection).add_service(revocations).add_service(health);
    if with_reflection {
        let reflection = Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        routes = routes.add_service(reflection.max_decoding_message_size(OTHER_BYTES));
    }
    Ok(routes.prepare().into_axum_router().layer(Deadline))
}
