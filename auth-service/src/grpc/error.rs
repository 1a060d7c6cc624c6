//! From the hall's errors to gRPC: the one place, without a catch-all arm.

use tonic::Status;

use crate::ops::Error;

/// Logs what happened, once, and says what the caller may know of it.
#[must_use]
pub fn status(error: &Error) -> Status {
    match error {
        Error::Unauthenticated(_) | Error::BadCredentials | Error::InvalidGrant(_) | Error::AccountGone => {
            tracing::info!(reason = %error, "call refused");
            Status::unauthenticated(
                "the caller did not authenticate; send metadata authorization: Basic or Bearer",
            )
        }
        Error::NotAllowed | Error::NotAUser | Error::NotFresh | Error::RegistrationClosed(_) => {
            tracing::info!(reason = %error, "call refused");
            Status::permission_denied("the caller's client lacks the scope introspect")
        }
        Error::TooMany(_)
        | Error::InvalidEmail(_)
        | Error::InvalidPassword(_)
        | Error::Grant(_)
        | Error::NotRegistered(_) => {
            tracing::info!(reason = %error, "call refused");
            Status::invalid_argument(error.to_string())
        }
        Error::NoSuchAccount | Error::NoSuchClient | Error::NoSuchKey => Status::not_found(error.to_string()),
        Error::EmailTaken | Error::ClientExists => Status::already_exists(error.to_string()),
        Error::TooManyTries(_) | Error::Overloaded => Status::resource_exhausted("too much to do; try again"),
        Error::OtherLog => Status::unavailable("the revocation log was replaced; watch again"),
        Error::Store(_) | Error::Keys(_) | Error::Random(_) => {
            tracing::error!(%error, "call failed");
            Status::unavailable("the service can't do this right now; try again")
        }
        Error::Signing(_) | Error::Defect(_) => {
            tracing::error!(%error, "call failed");
            Status::internal("the service failed; the failure was logged")
        }
    }
}
