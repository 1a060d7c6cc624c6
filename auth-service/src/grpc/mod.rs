//! The gRPC interface. It calls the same operations as HTTP and uses the same listener, so both ports have the same limits
//! and drain alike.

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
use countermark_service::host::CheckHost;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, interceptor::InterceptedService};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::ops::AuthService;
use caller::Authenticate;
use deadline::Deadline;
use introspection::Introspector;
use revocations::Revoker;

/// The largest message of introspection: a batch of 1,000 tokens fits.
const INTROSPECTION_BYTES: usize = 4 * 1024 * 1024;

/// The largest message of every other service.
const OTHER_BYTES: usize = 64 * 1024;

/// The services of the gRPC port. `stop` ends the streams.
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
    let introspection = InterceptedService::new(introspection, Authenticate(Arc::clone(&auth)));
    let revocations =
        RevocationsServer::new(Revoker::new(Arc::clone(&auth), stop)).max_decoding_message_size(OTHER_BYTES);
    let revocations = InterceptedService::new(revocations, Authenticate(auth));
    let health = HealthServer::new(health).max_decoding_message_size(OTHER_BYTES);
    let mut routes = Routes::new(introspection).add_service(revocations).add_service(health);
    if with_reflection {
        let reflection = Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        routes = routes.add_service(reflection.max_decoding_message_size(OTHER_BYTES));
    }
    Ok(routes.prepare().into_axum_router().layer(Deadline).layer(CheckHost))
}
