//! [`TrustedIssuer`]: verifies tokens of one issuer with the keys at hand, and with newer keys when the issuer may have begun
//! to sign with another one. All interfaces verify through it, so they can't disagree. Interfaces find the token in a request
//! and write the answer.

use std::sync::Arc;

use super::{
    KeySource,
    staleness::{Staleness, Verdict},
};
#[cfg(any(feature = "http", feature = "grpc"))]
use crate::verify::Audience;
use crate::{
    clock::{Clock, Timestamp},
    verify::{
        AnyAge, AuthError, Issuer, KeySet, Revocations, StalePolicy, TokenCache, TokenError, VerifiedToken,
        Verifier,
    },
};

/// Everything that decides about the tokens of one issuer: rules, keys, revocations, cache and clock. Clones share the keys,
/// the revocations and the cache.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    verifier: Verifier,
    keys: Arc<dyn KeySource>,
    revocations: Arc<Revocations>,
    cache: Arc<TokenCache>,
    clock: Arc<dyn Clock>,
    staleness: Option<Staleness>,
}

impl TrustedIssuer {
    /// Accepts the tokens that `verifier` accepts with the keys of `keys`. No token is revoked.
    #[must_use]
    pub fn new(verifier: Verifier, keys: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, keys, revocations: Arc::default(), cache: Arc::default(), clock, staleness: None }
    }

    /// Keeps verified tokens in `cache`, which others may share, instead of a cache of its own.
    #[must_use]
    pub fn with_cache(self, cache: Arc<TokenCache>) -> Self {
        Self { cache, ..self }
    }

    /// Refuses the tokens that `revocations` revoke. Somebody else keeps them current.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        Self { revocations, ..self }
    }

    /// Does as `staleness` says when the issuer has been silent for too long.
    #[must_use]
    pub fn with_staleness(self, staleness: Staleness) -> Self {
        Self { staleness: Some(staleness), ..self }
    }

    /// Changes the stale policy. It changes nothing when no [`Staleness`] is set.
    #[must_use]
    pub fn with_stale_policy(mut self, policy: StalePolicy) -> Self {
        self.staleness = self.staleness.map(|staleness| staleness.with_policy(policy));
        self
    }

    /// The issuer whose tokens it accepts.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        self.verifier.issuer()
    }

    /// The audiences that it accepts; none when it accepts any.
    #[cfg(any(feature = "http", feature = "grpc"))]
    pub(crate) fn audiences(&self) -> &[Audience] {
        self.verifier.audiences()
    }

    /// The time by which it verifies tokens.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Verifies a token, and accepts it only when it is alive.
    ///
    /// # Errors
    /// [`AuthError::Token`] when the token is not accepted; [`AuthError::NoKeys`] and [`AuthError::Stale`] when that can't be
    /// decided now.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, AuthError> {
        match self.verify_any_age(token).await? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired.into()),
        }
    }

    /// Verifies a token, and accepts an expired one too, for the few routes that can use one.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), except for expired tokens.
    pub async fn verify_any_age(&self, token: &str) -> Result<AnyAge, AuthError> {
        self.verify_under(token, None).await
    }

    /// Verifies a token under the stale policy of a route, if the route has one.
    pub(crate) async fn verify_under(
        &self,
        token: &str,
        policy: Option<StalePolicy>,
    ) -> Result<AnyAge, AuthError> {
        match self.verify_held_under(token, policy) {
            Some(verdict) => verdict,
            None => self.verify_waiting(token, policy).await,
        }
    }

    /// Verifies a token without waiting; `None` when only newer keys or the issuer itself can decide.
    #[must_use]
    pub fn verify_held(&self, token: &str) -> Option<Result<AnyAge, AuthError>> {
        self.verify_held_under(token, None)
    }

    fn verify_held_under(
        &self,
        token: &str,
        policy: Option<StalePolicy>,
    ) -> Option<Result<AnyAge, AuthError>> {
        match self.verify_with(token, &*self.keys.held()?) {
            Ok(AnyAge::Live(live)) => match self.verdict(policy) {
                Verdict::Good => Some(Ok(AnyAge::Live(live))),
                Verdict::Ask(_) => None,
                Verdict::Refused => Some(Err(AuthError::Stale)),
            },
            // The issuer may have begun to sign with a key that is not at hand.
            Err(TokenError::UnknownKey) => None,
            verdict => Some(verdict.map_err(AuthError::from)),
        }
    }

    /// Verifies a token where nobody can wait, such as in an interceptor. It refuses a token that needs newer keys or the
    /// issuer's own answer.
    ///
    /// # Errors
    /// [`AuthError`] when the token is not accepted, or can't be with what is at hand.
    pub fn verify_at_hand(&self, token: &str) -> Result<AnyAge, AuthError> {
        let keys = self.keys.held().ok_or(AuthError::NoKeys)?;
        match (self.verify_with(token, &keys)?, self.verdict(None)) {
            (expired @ AnyAge::Expired(_), _) => Ok(expired),
            (live, Verdict::Good) => Ok(live),
            (_, Verdict::Refused | Verdict::Ask(_)) => Err(AuthError::Stale),
        }
    }

    async fn verify_waiting(&self, token: &str, policy: Option<StalePolicy>) -> Result<AnyAge, AuthError> {
        let held = self.keys.held().map(|keys| self.verify_with(token, &keys));
        let verified = match held {
            Some(verified) if verified != Err(TokenError::UnknownKey) => verified,
            Some(_) | None => {
                // Another request may have fetched newer keys between the look at those at hand and this fetch.
                let newer = self.keys.newer().await.or_else(|| self.keys.held()).ok_or(AuthError::NoKeys)?;
                self.verify_with(token, &newer)
            }
        };
        match (verified?, self.verdict(policy)) {
            // An expired token opens nothing, so its revocation does not matter.
            (expired @ AnyAge::Expired(_), _) => Ok(expired),
            (live, Verdict::Good) => Ok(live),
            (_, Verdict::Refused) => Err(AuthError::Stale),
            (live, Verdict::Ask(issuer)) => match issuer.is_active(token).await {
                Some(true) => Ok(live),
                Some(false) => Err(TokenError::Revoked.into()),
                None => Err(AuthError::Stale),
            },
        }
    }

    fn verdict(&self, policy: Option<StalePolicy>) -> Verdict<'_> {
        self.staleness
            .as_ref()
            .map_or(Verdict::Good, |staleness| staleness.verdict(policy, || self.clock.monotonic()))
    }

    fn verify_with(&self, token: &str, keys: &KeySet) -> Result<AnyAge, TokenError> {
        self.cache.verify_any_age(&self.verifier, token, keys, &self.revocations, self.clock.now())
    }
}

#[cfg(test)]
mod tests;
