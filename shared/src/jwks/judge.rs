//! Has tokens verified with the keys at hand, and with newer ones when the issuer may have begun to sign with a key that
//! was not seen yet. Every door judges by it, so that they can't disagree; finding the token in a request and answering
//! are the doors' work.

use std::sync::Arc;

use super::{KeySet, KeySource};
use crate::{
    clock::{Clock, Timestamp},
    revocation::Revocations,
    token::{AnyAge, TokenCache, TokenError, VerifiedToken, Verifier},
};

/// What a door judges tokens by. Clones share the keys, the clock, and what is remembered of tokens.
#[derive(Clone, Debug)]
pub struct Judge {
    verifier: Verifier,
    keys: Arc<dyn KeySource>,
    revocations: Arc<Revocations>,
    cache: Arc<TokenCache>,
    clock: Arc<dyn Clock>,
}

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The token is not believed.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenError),
    /// No key set was ever had, so that nothing can be verified.
    #[error("the issuer's keys were never had")]
    NoKeys,
}

impl Judge {
    /// Believes what `verifier` believes by the keys of `keys`; nothing is revoked.
    #[must_use]
    pub fn new(verifier: Verifier, keys: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, keys, revocations: Arc::default(), cache: Arc::default(), clock }
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

    /// The clock that tokens are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A token that is alive.
    ///
    /// # Errors
    /// [`Refused`] when it is not believed, or nothing can be.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, Refused> {
        match self.verify_any_age(token).await? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired.into()),
        }
    }

    /// The same, for the few routes that have a use for a token that has expired.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for expired tokens.
    pub async fn verify_any_age(&self, token: &str) -> Result<AnyAge, Refused> {
        match self.verify_held(token) {
            Some(judged) => judged,
            None => self.verify_with_newer_keys(token).await,
        }
    }

    /// The same with the keys at hand, so without a wait; `None` when only newer ones can tell.
    #[must_use]
    pub fn verify_held(&self, token: &str) -> Option<Result<AnyAge, Refused>> {
        match self.judged(token, &*self.keys.held()?) {
            // The issuer may have begun to sign with a key that we have not seen.
            Err(TokenError::UnknownKey) => None,
            judged => Some(judged.map_err(Refused::from)),
        }
    }

    async fn verify_with_newer_keys(&self, token: &str) -> Result<AnyAge, Refused> {
        match self.keys.newer().await {
            Some(newer) => Ok(self.judged(token, &newer)?),
            None if self.keys.held().is_some() => Err(TokenError::UnknownKey.into()),
            None => Err(Refused::NoKeys),
        }
    }

    fn judged(&self, token: &str, keys: &KeySet) -> Result<AnyAge, TokenError> {
        self.cache.verify_any_age(&self.verifier, token, keys, &self.revocations, self.clock.now())
    }
}
