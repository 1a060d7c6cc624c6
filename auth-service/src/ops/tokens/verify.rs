//! How the issuer verifies its own tokens: with the keys in the ring and the revocations in memory.

use std::sync::Arc;

use countermark::{
    clock::Timestamp,
    verify::{AnyAge, Claims, Revocations, TokenCache, TokenError, VerifiedToken, Verifier},
};

use super::Tokens;

impl Tokens {
    /// The verifier of the issuer's own routes.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The cache of verified tokens.
    #[must_use]
    pub fn cache(&self) -> &Arc<TokenCache> {
        &self.cache
    }

    /// The revocations in force.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        self.context.feed.revocations()
    }

    /// Verifies a token that has not expired.
    pub(in crate::ops) fn verify(
        &self,
        verifier: &Verifier,
        token: &str,
    ) -> Result<VerifiedToken, TokenError> {
        match self.verify_any_age(verifier, token)? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired),
        }
    }

    /// Verifies a token that may have expired.
    pub(in crate::ops) fn verify_any_age(
        &self,
        verifier: &Verifier,
        token: &str,
    ) -> Result<AnyAge, TokenError> {
        self.verify_at(verifier, token, self.context.clock.now())
    }

    /// The claims of a token that this issuer signed, whenever it lives.
    pub(in crate::ops) fn signed_claims(&self, token: &str) -> Option<Arc<Claims>> {
        const END_OF_TIME: Timestamp = Timestamp::from_unix_millis(i64::MAX);
        match self.verify_at(&self.verifier, token, END_OF_TIME) {
            Ok(AnyAge::Expired(claims)) => Some(claims),
            Ok(AnyAge::Live(_)) | Err(_) => None,
        }
    }

    fn verify_at(&self, verifier: &Verifier, token: &str, now: Timestamp) -> Result<AnyAge, TokenError> {
        self.cache.verify_any_age(verifier, token, &self.keys.public(), self.revocations(), now)
    }
}
