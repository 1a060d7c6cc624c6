//! From errors to gRPC statuses: the one place, without a catch-all arm. Each error is logged once, here.

use tonic::Status;

use crate::ops::{Fault, caller::CallerError, tokens::introspect::BatchError, watch::stream::WatchError};

/// The status of a caller that may not ask.
#[must_use]
pub fn caller(error: CallerError) -> Status {
    tracing::info!(reason = %error, "call refused");
    match error {
        CallerError::Unauthenticated(_) => Status::unauthenticated(
            "the caller did not authenticate; send metadata authorization: Basic or Bearer",
        ),
        CallerError::NotAllowed(scope) => {
            Status::permission_denied(format!("the caller (its client or its token) lacks the scope {scope}"))
        }
    }
}

/// The status of a batch that was not answered.
#[must_use]
pub fn batch(error: BatchError) -> Status {
    match error {
        BatchError::TooMany => {
            tracing::info!(reason = %error, "call refused");
            Status::invalid_argument(error.to_string())
        }
        BatchError::Fault(error) => fault(&error),
    }
}

/// The status that a watch ends with.
#[must_use]
pub fn watch(error: WatchError) -> Status {
    match error {
        WatchError::OtherLog => Status::unavailable("the revocation log was replaced; watch again"),
        WatchError::Caller(error) => caller(error),
        WatchError::Fault(error) => fault(&error),
    }
}

/// The status of a call that the service failed at.
#[must_use]
pub fn fault(error: &Fault) -> Status {
    tracing::error!(%error, "call failed");
    match error {
        Fault::Store(_) | Fault::Keys(_) | Fault::Random(_) => {
            Status::unavailable("the service can't do this right now; try again")
        }
        Fault::Signing(_) | Fault::Defect(_) => {
            Status::internal("the service failed; the failure was logged")
        }
    }
}
