//! What every story stands on: both services, started as a test needs them, and clients that talk to them from outside.
//!
//! - [`world`] — both services on ports of their own, with one clock that the test moves
//! - [`alone`] — resource-service alone, before an issuer of the test's own
//! - [`http`] — asks, and holds what was answered against the contract
//! - [`wire`] — the same on a bare connection, that can be cut
//! - [`grpc`] — the same for introspection
//! - [`watcher`] — watches revocations
//! - [`forge`] — tokens that nobody should believe, and a few that everybody should
//! - [`jws`] — keys and signatures of every kind, to forge with
//! - [`issuer`] — an issuer that answers what the test tells it to
//! - [`process`] — the real binaries as processes
//! - [`tls`] — certificates of the test's own, and clients that speak TLS with them
//! - [`operator`] — the command line beside a running service
//! - [`relay`] — a network between two services that a test cuts, freezes and mends
//! - [`effort`] — how much a story that could go on for ever is to try

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

/// How long anything that a test waits for may take. It fails long before a person would lose patience.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `holds` gives something, looking again every few milliseconds; fails with `what` when it never does.
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
