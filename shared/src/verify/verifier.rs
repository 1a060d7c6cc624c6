//! Checks a token: returns its verified claims or the exact reason of the refusal.
//!
//! Protected routes, introspection, gRPC and the cache share this one function, so they cannot disagree. Other modules
//! verify the signature, fetch keys, find the token in a request and write the answer.

use std::{sync::Arc, time::Duration};

use super::{Audience, Claims, Issuer, Signed, TokenError, claims::NumericDate};
use crate::{
    clock::Timestamp,
    verify::{KeySet, Revocations},
};

/// Largest distance of `iat` into the future: one minute, because clocks differ.
const IAT_AHEAD: Duration = Duration::from_mins(1);

/// Accepts tokens of one issuer for a list of audiences.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: Issuer,
    audiences: AcceptedAudiences,
    leeway: Duration,
}

/// The audiences that a verifier accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptedAudiences {
    /// Accepts a token with at least one of these audiences.
    AnyOf(Vec<Audience>),
    /// Accepts any audience. The caller checks the audience, or the route serves every user of the issuer.
    Any,
}

/// A token that passed every check: issuer, audience, signature, times, revocation. Only a [`Verifier`] makes one.
/// Clones share the claims.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedToken {
    claims: Arc<Claims>,
}

impl VerifiedToken {
    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The claims, without the proof that they are verified.
    #[must_use]
    pub fn into_claims(self) -> Arc<Claims> {
        self.claims
    }
}

/// A token that passed every check except, perhaps, its expiry.
///
/// It is exhaustive: there is no third case.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyAge {
    /// The token has not expired.
    Live(VerifiedToken),
    /// The token has expired and its other checks passed, except revocation. It is good only for its own revocation.
    Expired(Arc<Claims>),
}

impl AnyAge {
    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        match self {
            Self::Live(token) => token.claims(),
            Self::Expired(claims) => claims,
        }
    }
}

impl Verifier {
    /// Accepts tokens of `issuer` for `audiences`, without leeway.
    #[must_use]
    pub fn new(issuer: Issuer, audiences: AcceptedAudiences) -> Self {
        Self { issuer, audiences, leeway: Duration::ZERO }
    }

    /// The issuer whose tokens are accepted.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The audiences that it accepts; none when it accepts any.
    #[cfg(any(feature = "http", feature = "grpc"))]
    pub(crate) fn audiences(&self) -> &[Audience] {
        match &self.audiences {
            AcceptedAudiences::AnyOf(audiences) => audiences,
            AcceptedAudiences::Any => &[],
        }
    }

    /// Allows a difference of `leeway` in `exp` and `nbf`, for clocks that differ.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Verifies `token` with `keys` and `revocations` at the instant `now`.
    ///
    /// # Errors
    /// The first problem of the token, in this order: shape, algorithm, type, key, signature, claims, issuer, audience,
    /// not yet valid, expired, revoked.
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        match self.verify_any_age(token, keys, revocations, now)? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired),
        }
    }

    /// Verifies `token` and also returns one that has expired. A few routes need it.
    ///
    /// # Errors
    /// The errors of [`verify`](Self::verify) except [`TokenError::Expired`].
    pub fn verify_any_age(
        &self,
        token: &str,
        keys: &KeySet,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<AnyAge, TokenError> {
        let signed = Signed::read(token, keys)?;
        self.check(&signed, now, || revocations.read(|set| set.revokes(&signed)))
    }

    /// Checks a token whose signature is valid. Every check besides the signature is made here, for cached tokens too.
    /// `is_revoked` is called last.
    pub(crate) fn check(
        &self,
        signed: &Signed,
        now: Timestamp,
        is_revoked: impl FnOnce() -> bool,
    ) -> Result<AnyAge, TokenError> {
        let claims = signed.claims();
        // RFC 9068 §4: issuer and audience must match exactly.
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        match &self.audiences {
            AcceptedAudiences::AnyOf(accepted) if !accepted.iter().any(|own| claims.aud.contains(own)) => {
                return Err(TokenError::Audience);
            }
            AcceptedAudiences::AnyOf(_) | AcceptedAudiences::Any => {}
        }
        let (now, leeway) = (now.unix_millis(), millis(self.leeway));
        let is_ahead =
            |date: NumericDate, by: i64| date.unix_seconds().saturating_mul(1_000) > now.saturating_add(by);
        if claims.nbf.is_some_and(|nbf| is_ahead(nbf, leeway))
            || claims.iat.is_some_and(|iat| is_ahead(iat, millis(IAT_AHEAD)))
        {
            return Err(TokenError::NotYetValid);
        }
        // The token is dead at `exp` itself (RFC 7519 §4.1.4: "on or after").
        if claims.exp.unix_seconds().saturating_mul(1_000).saturating_add(leeway) <= now {
            return Ok(AnyAge::Expired(Arc::clone(claims)));
        }
        if is_revoked() {
            return Err(TokenError::Revoked);
        }
        Ok(AnyAge::Live(VerifiedToken { claims: Arc::clone(claims) }))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
