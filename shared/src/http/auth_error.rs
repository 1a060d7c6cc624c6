//! The one mapping from [`AuthError`] to an HTTP answer: status, code, sentence and challenge.

use axum::http::StatusCode;

use super::ErrorAnswer;
use crate::verify::AuthError;

impl ErrorAnswer {
    /// The answer to a refused caller. `realm` names the protected space (RFC 6750 §3).
    #[must_use]
    pub fn of(error: &AuthError, realm: &str) -> Self {
        let answer = |status, code| Self::new(status, code, error.public_message());
        let invalid = || answer(StatusCode::UNAUTHORIZED, "invalid_token").challenged(realm, "");
        match error {
            AuthError::MissingToken => answer(StatusCode::UNAUTHORIZED, "missing_token")
                .with_challenge(format!("Bearer realm=\"{realm}\"")),
            AuthError::SeveralTokens => {
                answer(StatusCode::BAD_REQUEST, "invalid_request").challenged(realm, "")
            }
            AuthError::NotAToken(_)
            | AuthError::Token(_)
            | AuthError::RefreshTokenRequired
            | AuthError::UnknownUser => invalid(),
            AuthError::NotFresh { max_age } => {
                answer(StatusCode::UNAUTHORIZED, "insufficient_user_authentication")
                    .challenged(realm, &format!(", max_age=\"{}\"", max_age.as_secs()))
            }
            AuthError::Scope(scope) => answer(StatusCode::FORBIDDEN, "insufficient_scope")
                .challenged(realm, &format!(", scope=\"{scope}\"")),
            AuthError::Role(_) => answer(StatusCode::FORBIDDEN, "insufficient_scope").challenged(realm, ""),
            AuthError::Denied(_) => answer(StatusCode::FORBIDDEN, "access_denied"),
            AuthError::CsrfMismatch
            | AuthError::CsrfMissing
            | AuthError::CsrfClaimMissing
            | AuthError::CsrfOrigin => answer(StatusCode::FORBIDDEN, "csrf"),
            AuthError::NoKeys | AuthError::Stale => {
                let answer = answer(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
                match error.retry_after() {
                    Some(after) => answer.with_retry_after(after),
                    None => answer,
                }
            }
        }
    }

    /// RFC 6750 §3: the challenge repeats the error, for clients that do not read bodies. `more` holds further parameters.
    fn challenged(self, realm: &str, more: &str) -> Self {
        let challenge = format!(
            "Bearer error=\"{}\", error_description=\"{}\"{more}, realm=\"{realm}\"",
            self.code(),
            self.msg()
        );
        self.with_challenge(challenge)
    }
}
