//! Why there is no token.

/// Why no token could be had. One that is held already stays until it expires.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceTokenError {
    /// The issuer doesn't know the client, or not by what it showed (`invalid_client`).
    #[error("the issuer refused the client's credentials")]
    Unauthenticated,
    /// The issuer knows the client, and doesn't give it that token: `unauthorized_client`, `invalid_scope`,
    /// `invalid_target`, with what it said.
    #[error("the issuer refused: {error}: {description}")]
    Refused {
        /// The code (RFC 6749 §5.2).
        error: String,
        /// The sentence beside it.
        description: String,
    },
    /// The issuer was not reached, too slow, or could not answer.
    #[error("the issuer is unavailable: {0}")]
    Unavailable(String),
    /// An answer that is no token.
    #[error("the issuer's answer is malformed: {0}")]
    Malformed(&'static str),
    /// A client that signs could not.
    #[error("the client's key can't sign")]
    Signing,
}
