//! [`IntrospectionError`]: why there is no answer. "Inactive" is an answer.

use std::{error::Error, iter::successors};

use tonic::{Code, Status, TimeoutExpired};

use crate::issuer::wire::claims::InvalidAnswer;

/// Why there is no answer. It says nothing about the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// The issuer doesn't know the client, or not by that secret.
    #[error("the issuer refused the client's credentials: the client id or its secret is wrong")]
    Unauthenticated,
    /// The client is not registered with the scope `introspect`.
    #[error("the client may not introspect")]
    NotAllowed,
    /// The issuer was not reached, or could not answer, however often it was asked until the deadline; with what the last
    /// try met.
    #[error("the issuer is unavailable: {0}")]
    Unavailable(String),
    /// Something answers there, but does not speak gRPC: the address is not that of a gRPC port.
    #[error("{NOT_GRPC}")]
    NotGrpc,
    /// No answer until the deadline.
    #[error("no answer in time")]
    DeadlineExceeded,
    /// An answer that can't be.
    #[error("the issuer's answer is malformed: {0}")]
    Malformed(#[from] InvalidAnswer),
    /// Any other status: one side has a defect, or what answers is no issuer of ours.
    #[error("the issuer answered {0:?}: {1}")]
    Failed(Code, String),
}

/// The sentence about an address that is not that of a gRPC port.
pub(in crate::issuer) const NOT_GRPC: &str =
    "what answers there is no gRPC port; perhaps it is the issuer's HTTP port, or a port that speaks TLS";

/// Whether the answer came from a server that does not speak gRPC: it has no status of gRPC, its body is no message, or it is no
/// HTTP/2. tonic and h2 say so in a sentence alone. An overloaded proxy in front of a gRPC port does not count.
pub(in crate::issuer) fn is_no_grpc(status: &Status) -> bool {
    let is_http = [
        "grpc-status header missing, mapped from HTTP status code",
        "protocol error: received message with invalid compression flag",
    ];
    let is_http = is_http.iter().any(|start| status.message().starts_with(start));
    // The first bytes of HTTP/1.1 and of TLS, taken for the length of a frame.
    let is_no_http2 =
        || causes(status).last().is_some_and(|cause| cause.to_string().contains("frame with invalid size"));
    (is_http && status.code() != Code::Unavailable) || is_no_http2()
}

impl From<Status> for IntrospectionError {
    fn from(status: Status) -> Self {
        let said = || causes(&status).last().map_or_else(|| status.message().to_owned(), ToString::to_string);
        if is_no_grpc(&status) {
            return Self::NotGrpc;
        }
        match status.code() {
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::NotAllowed,
            Code::Unavailable => Self::Unavailable(said()),
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Cancelled | Code::Unknown | Code::Internal if is_timer(&status) => Self::DeadlineExceeded,
            // Not the issuer's word: the connection broke. The call changes nothing, so it may be made again.
            Code::Cancelled | Code::Unknown | Code::Internal if status.source().is_some() => {
                Self::Unavailable(said())
            }
            code @ (Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss) => Self::Failed(code, said()),
        }
    }
}

/// Whether the call was ended by the timer on our side, which says CANCELLED.
fn is_timer(status: &Status) -> bool {
    causes(status).any(<dyn Error>::is::<TimeoutExpired>)
}

/// What went wrong on our side, down to the bottom; nothing when the status is the issuer's own word.
fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(status.source(), |&error| error.source())
}
