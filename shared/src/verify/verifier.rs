//! Bytes in; believed claims, or the exact reason why not, out.
//!
//! One function decides for the protected route, for introspection and for gRPC, and for a token that was seen before, so
//! they can't disagree. Proving the signature, fetching keys, finding the token in a request and answering are others' work.

use std::{sync::Arc, time::Duration};

use super::{Audience, Claims, Issuer, Signed, TokenError, claims::NumericDate};
use crate::{
    clock::Timestamp,
    verify::{KeySet, Revocations},
};

/// How far ahead `iat` may lie: clocks differ, but not by more than a minute.
const IAT_AHEAD: Duration = Duration::from_mins(1);

/// Whose tokens are believed, and for whom.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: Issuer,
    audiences: AcceptedAudiences,
    leeway: Duration,
}

/// For whom a token has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedAudiences {
    /// For at least one of these.
    AnyOf(Vec<Audience>),
    /// For whomever: the caller judges the audience itself, or the route serves every user of the issuer.
    Any,
}

/// A token that is believed: signed by the issuer, for this audience, alive. Only a [`Verifier`] makes one. Clones share
/// the claims.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedToken {
    claims: Arc<Claims>,
}

impl VerifiedToken {
    /// What it claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it claims, without the proof.
    #[must_use]
    pub fn into_claims(self) -> Arc<Claims> {
        self.claims
    }
}

/// A token that is believed but for its age.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyAge {
    /// Alive.
    Live(VerifiedToken),
    /// Past its expiry; everything else about it is right. It can't be used for anything but its own revocation.
    Expired(Arc<Claims>),
}

impl AnyAge {
    /// What the token claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        match self {
            Self::Live(token) => token.claims(),
            Self::Expired(claims) => claims,
        }
    }
}

impl Verifier {
    /// Believes tokens of `issuer` for `audiences`, without leeway.
    #[must_use]
    pub fn new(issuer: Issuer, audiences: AcceptedAudiences) -> Self {
        Self { issuer, audiences, leeway: Duration::ZERO }
    }

    /// Whose tokens it believes.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Lets `exp` and `nbf` be off by `leeway`, for machines whose clocks differ.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// TrustedIssuers `token` by `keys` and `revocations` at the instant `now`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in this order: shape, algorithm, type, key, signature, claims, issuer,
    /// audience, not yet valid, expired, revoked.
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

    /// The same, for the few routes that have a use for a token that has expired.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for [`TokenError::Expired`].
    pub fn verify_any_age(
        &self,
        token: &str,
        keys: &KeySet,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<AnyAge, TokenError> {
        let signed = Signed::read(token, keys)?;
        self.judge(&signed, now, || revocations.read(|set| set.revokes(&signed)))
    }

    /// TrustedIssuers a token whose signature is proven. Every judgement is made here, however often the token was seen before;
    /// whether it is revoked is asked last.
    pub(crate) fn judge(
        &self,
        signed: &Signed,
        now: Timestamp,
        is_revoked: impl FnOnce() -> bool,
    ) -> Result<AnyAge, TokenError> {
        let claims = signed.claims();
        // RFC 9068 §4: the issuer and the audience are exactly ours.
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
        // Dead at `exp` itself (RFC 7519 §4.1.4: "on or after").
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
