//! The test harness: both services, started as a test needs them, and clients that talk to them from outside.
//!
//! - [`world`] — both services on ports of their own, with one clock that the test moves
//! - [`alone`] — resource-service on its own, with a fake issuer
//! - [`http`] — an HTTP client that checks answers against the contract
//! - [`wire`] — an HTTP client on a raw connection that the test can cut
//! - [`grpc`] — a gRPC client for introspection
//! - [`watcher`] — a client of the revocation stream
//! - [`forge`] — tokens signed with the stolen signing key, most of them invalid
//! - [`jws`] — keys and signatures of every kind
//! - [`issuer`] — a fake issuer that sends the answers the test sets
//! - [`process`] — the real binaries as processes
//! - [`tls`] — the test's own certificates, and TLS clients for them
//! - [`operator`] — the command line beside a running service
//! - [`relay`] — a network between two services that a test cuts, freezes and mends
//! - [`effort`] — the effort of tests that could run for ever

pub mod alone;
pub mod effort;
pub mod forge;
pub mod grpc;
pub mod http;
pub mod issuer;
pub mod jws;
pub mod operator;
pub mod process;
pub mod relay;
pub mod tls;
pub mod watcher;
pub mod wire;
pub mod world;

pub use forge::Forge;
pub use http::{Answer, Http};
pub use world::World;

use std::time::Duration;

/// Longest wait of a test for anything. It is much longer than any expected wait.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `holds` returns a value. Asks every few milliseconds. Panics with `what` after [`PATIENCE`].
pub async fn until<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        loop {
            looks.tick().await;
            if let Some(found) = holds().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}
