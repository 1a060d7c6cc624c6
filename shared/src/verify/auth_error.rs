//! [`AuthError`]: every reason for which an interface refuses a caller. HTTP, gRPC and forward-auth map this one type.

use std::{borrow::Cow, time::Duration};

use super::{TokenError, location::Location};

/// When to try again after the issuer was not reached.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a caller is refused. The text of each variant is for logs; callers see
/// [`public_message`](Self::public_message).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The request has no token.
    #[error("no token")]
    MissingToken,
    /// The request has two `Authorization` headers, or tokens in two places (RFC 6750 §2).
    #[error("more than one token")]
    SeveralTokens,
    /// The text at this location is not a token. Nothing was decoded.
    #[error("no token where one belongs, in the {0}")]
    NotAToken(Location),
    /// The token is not accepted.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenError),
    /// The route takes refresh tokens, and the request has an access token.
    #[error("an access token where a refresh token belongs")]
    RefreshTokenRequired,
    /// The token was not minted straight from credentials, or the user gave them too long ago (RFC 9470).
    #[error("credentials were given too long ago")]
    NotFresh {
        /// The largest age of the login that the route accepts; zero when only a token straight from a login is accepted.
        max_age: Duration,
    },
    /// The token lacks this scope.
    #[error("the scope {0} is missing")]
    Scope(Cow<'static, str>),
    /// The subject lacks this role.
    #[error("the role {0} is missing")]
    Role(Cow<'static, str>),
    /// The request uses a cookie and an unsafe method, and its CSRF value is not the one of the token.
    #[error("the CSRF value is wrong")]
    CsrfMismatch,
    /// The request uses a cookie and an unsafe method, and has no CSRF value.
    #[error("the CSRF value is missing")]
    CsrfMissing,
    /// The request uses a cookie and an unsafe method, and its token has no `csrf` claim: it was not made for cookies.
    #[error("a token without a CSRF value, by cookie")]
    CsrfClaimMissing,
    /// The request opens a WebSocket with a cookie, and comes from a page of another origin.
    #[error("a WebSocket by cookie, from another origin")]
    CsrfOrigin,
    /// The service's own check refuses the token. The caller sees this sentence.
    #[error("the service's own check: {0}")]
    Denied(Cow<'static, str>),
    /// The token is good, and the service has no user for its subject.
    #[error("no user of the token's subject")]
    UnknownUser,
    /// No key set was ever fetched, so no token can be verified.
    #[error("the issuer's keys were never fetched")]
    NoKeys,
    /// The token is good, but its revocation may have been missed.
    #[error("the issuer has been silent for too long")]
    Stale,
}

impl AuthError {
    /// The service's own check refuses the token; the caller sees `reason`.
    #[must_use]
    pub fn denied(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Denied(reason.into())
    }

    /// When to try again; `None` when another token is needed. It is `Some` exactly when nothing could be decided.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::NoKeys | Self::Stale).then_some(RETRY_AFTER)
    }

    /// The sentence for the caller. It says less than the log, and is the same over HTTP and gRPC.
    #[must_use]
    pub fn public_message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::MissingToken => "An access token is required",
            Self::SeveralTokens => "The request has more than one access token; send exactly one",
            Self::NotAToken(_) => TokenError::Segments.public_message(),
            Self::Token(error) => error.public_message(),
            Self::RefreshTokenRequired => "Only refresh tokens are accepted",
            Self::NotFresh { .. } => "A more recent login is required",
            Self::Scope(scope) => return format!("The token lacks the scope {scope}").into(),
            Self::Role(role) => return format!("The role {role} is required").into(),
            Self::CsrfMismatch | Self::CsrfMissing | Self::CsrfClaimMissing => {
                "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token"
            }
            Self::CsrfOrigin => {
                "A WebSocket by cookie has to come from a page of this host, or repeat the csrf value in X-CSRF-Token"
            }
            Self::Denied(reason) => return reason.clone(),
            Self::UnknownUser => "The token's user is not known here",
            Self::NoKeys => "The issuer's keys have not been reached yet; try again",
            Self::Stale => "The issuer has not been heard of for too long; try again",
        })
    }
}
