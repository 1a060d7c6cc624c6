//! The one mapping from [`AuthError`] to a gRPC status.

use tonic::Status;

use crate::verify::AuthError;

/// The status for a refused caller.
pub(super) fn status(error: &AuthError) -> Status {
    match error {
        AuthError::SeveralTokens => {
            Status::unauthenticated("The call has more than one access token; send exactly one")
        }
        AuthError::MissingToken
        | AuthError::NotAToken(_)
        | AuthError::Token(_)
        | AuthError::RefreshTokenRequired
        | AuthError::UnknownUser => Status::unauthenticated(error.public_message()),
        AuthError::NotFresh { max_age } => {
            let mut status = Status::unauthenticated(error.public_message());
            // RFC 9470's parameter, where a client of gRPC looks.
            status.metadata_mut().insert("max-age", max_age.as_secs().into());
            status
        }
        AuthError::Scope(_)
        | AuthError::Role(_)
        | AuthError::Denied(_)
        | AuthError::CsrfMismatch
        | AuthError::CsrfMissing
        | AuthError::CsrfClaimMissing
        | AuthError::CsrfOrigin => Status::permission_denied(error.public_message()),
        AuthError::NoKeys | AuthError::Stale => Status::unavailable(error.public_message()),
    }
}

impl From<AuthError> for Status {
    /// Logs the exact reason once, and answers with the sentence for callers.
    fn from(error: AuthError) -> Self {
        tracing::info!(reason = %error, "call refused");
        status(&error)
    }
}
