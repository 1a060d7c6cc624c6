//! Has tokens verified with the keys at hand, and with newer ones when the issuer may have begun to sign with a key that
//! was not seen yet. Every door judges by it, so that they can't disagree; finding the token in a request and answering
//! are the doors' work.

use std::sync::Arc;

use super::{KeySet, KeySource};
use crate::{
    clock::{Clock, Timestamp},
    revocation::Revocations,
    token::{AnyAge, Issuer, TokenCache, TokenError, VerifiedToken, Verifier},
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

    /// Whose tokens it believes.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        self.verifier.issuer()
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
        // When none can be had, a newer one may have come between the look at those at hand and the question.
        let newer = self.keys.newer().await.or_else(|| self.keys.held()).ok_or(Refused::NoKeys)?;
        Ok(self.judged(token, &newer)?)
    }

    fn judged(&self, token: &str, keys: &KeySet) -> Result<AnyAge, TokenError> {
        self.cache.verify_any_age(&self.verifier, token, keys, &self.revocations, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use serde_json::json;

    use super::*;
    use crate::forge::{NOW, keys, signed, verifier};

    #[derive(Debug)]
    struct Now;

    impl Clock for Now {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(NOW)
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    /// A source whose set is replaced right after it was looked at, and which then has no newer one to give.
    #[derive(Debug)]
    struct Overtaken(AtomicBool);

    impl KeySource for Overtaken {
        fn held(&self) -> Option<Arc<KeySet>> {
            let was_seen = self.0.swap(true, Ordering::Relaxed);
            Some(keys(if was_seen { &["old", "new"] } else { &["old"] }))
        }

        fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
            Box::pin(std::future::ready(None))
        }
    }

    #[tokio::test]
    async fn a_set_that_came_between_the_look_and_the_question_counts() {
        let judge = || Judge::new(verifier(), Arc::new(Overtaken(AtomicBool::new(false))), Arc::new(Now));
        assert!(judge().verify(&signed("new", &json!({}))).await.is_ok());
        let refused = judge().verify(&signed("unknown", &json!({}))).await.unwrap_err();
        assert_eq!(refused, Refused::Token(TokenError::UnknownKey));
    }
}
