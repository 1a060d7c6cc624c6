//! Guards for an issuer whose keys, and revocations, are kept current in the background.

use std::future::pending;

use super::Guard;
use crate::issuer::{FollowError, FollowedIssuer};

impl Guard {
    /// Accepts tokens of `issuer` for `audience`, with the keys that it publishes: fetched at once, again whenever their
    /// `max-age` has passed, and when a token names a new key, at most every ten seconds. `audience` is also the realm. Call
    /// it inside a tokio runtime; the keys are kept current as long as that runs.
    ///
    /// A revoked token is accepted until it expires. [`following`](Self::following) an issuer with a stream refuses it at once.
    ///
    /// # Errors
    /// [`FollowError`] when `issuer` is no HTTP URL, or the HTTP client can't be set up.
    pub fn for_issuer(issuer: &str, audience: &str) -> Result<Self, FollowError> {
        let issuer = FollowedIssuer::builder(issuer, audience).build()?;
        Ok(Self::following(issuer, pending()))
    }

    /// Accepts tokens of `issuer`, and keeps its keys and revocations current in the background until `stop`. The issuer's
    /// audience is the realm. Call it inside a tokio runtime.
    #[must_use]
    pub fn following(issuer: FollowedIssuer, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        let guard = Self::new(issuer.trusted_issuer(), issuer.audience().as_str());
        tokio::spawn(issuer.keep_current(stop));
        guard
    }
}
