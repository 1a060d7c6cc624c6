//! `grpc.health.v1`: reports whether the service can do its work; not when the database fails.

use std::{sync::Arc, time::Duration};

use countermark_proto::auth_v1::{introspection_server, revocations_server};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::ops::AuthService;

/// Poll interval of the health check.
const INTERVAL: Duration = Duration::from_millis(500);

/// Reports the health of `auth`, for the server as a whole and for each service, until `stop`. From then on: not serving.
pub async fn report(reporter: HealthReporter, auth: Arc<AuthService>, stop: CancellationToken) {
    let mut reported = None;
    while !stop.is_cancelled() {
        let is_healthy = auth.health().is_ok();
        if reported != Some(is_healthy) {
            set(&reporter, if is_healthy { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
            reported = Some(is_healthy);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
    set(&reporter, ServingStatus::NotServing).await;
}

async fn set(reporter: &HealthReporter, status: ServingStatus) {
    // The empty name stands for the server as a whole.
    for name in ["", introspection_server::SERVICE_NAME, revocations_server::SERVICE_NAME] {
        reporter.set_service_status(name, status).await;
    }
}
