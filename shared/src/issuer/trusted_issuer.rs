//! Has tokens verified with the keys at hand, and with newer ones when the issuer may have begun to sign with a key that
//! was not seen yet. Every door judges by it, so that they can't disagree; finding the token in a request and answering
//! are the doors' work.

use std::sync::Arc;

use super::{
    KeySource,
    staleness::{Staleness, Verdict},
};
use crate::verify::KeySet;
use crate::{
    clock::{Clock, Timestamp},
    verify::{
        AnyAge, AuthError, Issuer, Revocations, StalePolicy, TokenCache, TokenError, VerifiedToken, Verifier,
    },
};

/// What a door judges tokens by. Clones share the keys, the clock, and what is remembered of tokens.
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
    /// Believes what `verifier` believes by the keys of `keys`; nothing is revoked.
    #[must_use]
    pub fn new(verifier: Verifier, keys: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, keys, revocations: Arc::default(), cache: Arc::default(), clock, staleness: None }
    }

    /// Remembers tokens in `cache`, which others may share, instead of in one of its own.
    #[must_use]
    pub fn with_cache(self, cache: Arc<TokenCache>) -> Self {
        Self { cache, ..self }
    }

    /// Believes nothing that is revoked by `revocations`, which others keep current.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        Self { revocations, ..self }
    }

    /// Whose tokens it believes.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        self.verifier.issuer()
    }

    /// Does what `staleness` says when the issuer has not been heard of for too long.
    #[must_use]
    pub fn with_staleness(self, staleness: Staleness) -> Self {
        Self { staleness: Some(staleness), ..self }
    }

    /// The same under another stale policy; no change when it follows no issuer.
    #[must_use]
    pub fn with_stale_policy(mut self, policy: StalePolicy) -> Self {
        self.staleness = self.staleness.map(|staleness| staleness.with_policy(policy));
        self
    }

    /// The clock that tokens are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A token that is alive.
    ///
    /// # Errors
    /// [`AuthError`] when it is not believed, or nothing can be.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, AuthError> {
        match self.verify_any_age(token).await? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired.into()),
        }
    }

    /// The same, for the few routes that have a use for a token that has expired.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for expired tokens.
    pub async fn verify_any_age(&self, token: &str) -> Result<AnyAge, AuthError> {
        match self.verify_held(token) {
            Some(judged) => judged,
            None => self.verify_waiting(token).await,
        }
    }

    /// The same with what is at hand, so without a wait; `None` when only newer keys, or the issuer, can tell.
    #[must_use]
    pub fn verify_held(&self, token: &str) -> Option<Result<AnyAge, AuthError>> {
        match self.judged(token, &*self.keys.held()?) {
            Ok(AnyAge::Live(live)) => match self.verdict() {
                Verdict::Good => Some(Ok(AnyAge::Live(live))),
                Verdict::Ask(_) => None,
                Verdict::Refused => Some(Err(AuthError::Stale)),
            },
            // The issuer may have begun to sign with a key that we have not seen.
            Err(TokenError::UnknownKey) => None,
            judged => Some(judged.map_err(AuthError::from)),
        }
    }

    /// The same where nobody can wait, such as in an interceptor: what only newer keys, or the issuer, could tell is refused.
    ///
    /// # Errors
    /// [`AuthError`] when the token is not believed, or can't be by what is at hand.
    pub fn verify_at_hand(&self, token: &str) -> Result<AnyAge, AuthError> {
        let keys = self.keys.held().ok_or(AuthError::NoKeys)?;
        match (self.judged(token, &keys)?, self.verdict()) {
            (expired @ AnyAge::Expired(_), _) => Ok(expired),
            (live, Verdict::Good) => Ok(live),
            (_, Verdict::Refused | Verdict::Ask(_)) => Err(AuthError::Stale),
        }
    }

    async fn verify_waiting(&self, token: &str) -> Result<AnyAge, AuthError> {
        let judged = self.keys.held().map(|keys| self.judged(token, &keys));
        let judged = match judged {
            Some(judged) if judged != Err(TokenError::UnknownKey) => judged,
            Some(_) | None => {
                // When no newer ones can be had, some may have come between the look at those at hand and the question.
                let newer = self.keys.newer().await.or_else(|| self.keys.held()).ok_or(AuthError::NoKeys)?;
                self.judged(token, &newer)
            }
        };
        match (judged?, self.verdict()) {
            // One that is dead anyway opens nothing.
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

    fn verdict(&self) -> Verdict<'_> {
        self.staleness
            .as_ref()
            .map_or(Verdict::Good, |staleness| staleness.verdict(|| self.clock.monotonic()))
    }

    fn judged(&self, token: &str, keys: &KeySet) -> Result<AnyAge, TokenError> {
        self.cache.verify_any_age(&self.verifier, token, keys, &self.revocations, self.clock.now())
    }
}

#[cfg(test)]
mod tests;
