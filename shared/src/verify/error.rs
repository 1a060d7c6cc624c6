//! [`TokenError`]: the exact reason why a token is not accepted, for the log, and the sentence for the caller, which says less.

/// The part of a token in which an error was found. It is exhaustive: a JWS has these three (RFC 7515 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Payload,
    /// The signature.
    Signature,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A refresh token, where an access token belongs.
    #[error("a refresh token where an access token belongs")]
    RefreshToken,
    /// Longer than [`MAX_TOKEN_BYTES`](super::MAX_TOKEN_BYTES); nothing of it was decoded.
    #[error("longer than 8 KiB")]
    TooLong,
    /// Not exactly three segments (RFC 7515 §3.1); a JWE has five.
    #[error("not three segments")]
    Segments,
    /// A segment is not base64url in its one spelling: no padding, no unused bits (RFC 7515 §2).
    #[error("the {0:?} is not base64url")]
    Encoding(Part),
    /// A segment is not one JSON object with unique members of the right types (RFC 8725 §2.6, RFC 7519 §4).
    #[error("the {0:?} is not the JSON object that it should be")]
    Json(Part),
    /// `alg` is not exactly `RS256` (RFC 8725 §3.1).
    #[error("the algorithm is not RS256")]
    Algorithm,
    /// `crit` or `b64` is there: unknown critical extensions must be refused (RFC 7515 §4.1.11, RFC 7797).
    #[error("a critical header extension")]
    Critical,
    /// `typ` is not `at+jwt` (RFC 9068 §4).
    #[error("not of type at+jwt")]
    Type,
    /// No key of the set has the token's `kid`, or it has none.
    #[error("no key for its kid")]
    UnknownKey,
    /// The signature is not by that key.
    #[error("the signature does not verify")]
    Signature,
    /// A claim that must be there is absent (RFC 9068 §2.2: `iss`, `sub`, `aud`, `exp`).
    #[error("the claim {0} is absent")]
    Absent(&'static str),
    /// By another issuer.
    #[error("by another issuer")]
    Issuer,
    /// For another audience.
    #[error("for another audience")]
    Audience,
    /// `nbf` lies ahead, or `iat` more than a minute ahead.
    #[error("not yet valid")]
    NotYetValid,
    /// Past `exp`; everything else about it was right.
    #[error("expired")]
    Expired,
    /// Revoked before its time: its session ended, or its account or its key is no more. Everything else about it was
    /// right.
    #[error("revoked")]
    Revoked,
}

impl TokenError {
    /// The sentence for the caller. All reasons that would show an attacker how far a forgery got share one sentence.
    #[must_use]
    pub const fn public_message(self) -> &'static str {
        match self {
            Self::Expired => "The token has expired",
            Self::Revoked => "The token has been revoked",
            Self::RefreshToken => "Only access tokens are accepted",
            Self::TooLong
            | Self::Segments
            | Self::Encoding(_)
            | Self::Json(_)
            | Self::Algorithm
            | Self::Critical
            | Self::Type
            | Self::UnknownKey
            | Self::Signature
            | Self::Absent(_)
            | Self::Issuer
            | Self::Audience
            | Self::NotYetValid => "The token is invalid",
        }
    }
}
