//! [`IntrospectionError`]: why there is no answer. "Inactive" is an answer.

use std::{error::Error, iter::successors};

use tonic::{Code, Status, TimeoutExpired};

use crate::issuer::wire::claims::InvalidAnswer;

/// Why there is no answer. It says nothing about the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// The issuer doesn't know the client, or not by that secret.
    #[error("the issuer refused the client's credentials")]
    Unauthenticated,
    /// The client is not registered with the scope `introspect`.
    #[error("the client may not introspect")]
    NotAllowed,
    /// The issuer was not reached, or could not answer, however often it was asked until the deadline; with what the last
    /// try met.
    #[error("the issuer is unavailable: {0}")]
    Unavailable(String),
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

impl From<Status> for IntrospectionError {
    fn from(status: Status) -> Self {
        let said = || causes(&status).last().map_or_else(|| status.message().to_owned(), ToString::to_string);
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
