//! [`FollowedIssuer`]: one issuer, kept current. It fetches the issuer's keys, and with the feature `watch` it follows the
//! issuer's revocations. Verifiers of every kind are built on it; it needs no web framework.

use std::{sync::Arc, time::Duration};

use super::{JwksClient, KeySource, TrustedIssuer};
use crate::{
    clock::Clock,
    verify::{Audience, Freshness, Issuer, Position, Revocations},
};

mod builder;
mod error;
#[cfg(feature = "watch")]
mod stream;

pub use builder::FollowedIssuerBuilder;
pub use error::FollowError;

/// An issuer whose keys, and whose revocations if a stream is set, are kept current. Clones share them.
///
/// ```no_run
/// # #[cfg(feature = "watch")]
/// # async fn follow(secret: zeroize::Zeroizing<String>) -> Result<(), Box<dyn std::error::Error>> {
/// use countermark::{
///     issuer::{FollowedIssuer, introspection::IntrospectionConfig},
///     verify::StalePolicy,
/// };
///
/// let issuer = FollowedIssuer::builder("http://localhost:8080", "my-service")
///     .with_stream(IntrospectionConfig::new("http://localhost:50051", "my-client", secret))
///     .with_stale_policy(StalePolicy::Deny)
///     .build()?;
/// let trusted = issuer.trusted_issuer();
/// tokio::spawn(issuer.keep_current(std::future::pending()));
/// let token = trusted.verify("eyJ…").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FollowedIssuer {
    trusted: TrustedIssuer,
    audience: Audience,
    keys: JwksClient,
    clock: Arc<dyn Clock>,
    revocations: Arc<Revocations>,
    freshness: Option<Arc<Freshness>>,
    #[cfg(feature = "watch")]
    stream: Option<stream::Stream>,
}

impl FollowedIssuer {
    /// Describes an issuer: `issuer` is its URL, as its tokens have it in `iss`; `audience` names this service in `aud`.
    #[must_use]
    pub fn builder(issuer: &str, audience: &str) -> FollowedIssuerBuilder {
        FollowedIssuerBuilder::new(issuer, audience)
    }

    /// Verifies the issuer's tokens. All of these share one cache.
    #[must_use]
    pub fn trusted_issuer(&self) -> TrustedIssuer {
        self.trusted.clone()
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        self.trusted.issuer()
    }

    /// The first audience whose tokens it accepts.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Whether tokens can be verified: some key set is at hand.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.keys.held().is_some()
    }

    /// Whether it follows the issuer's revocations, over a stream.
    #[must_use]
    pub fn has_stream(&self) -> bool {
        self.freshness.is_some()
    }

    /// The last entry of the issuer's revocation log that was applied; `None` without a stream, and while no log is known.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.freshness.as_ref()?.position()
    }

    /// The age of the last question that the issuer answered: every older revocation is known. `None` without a stream, and
    /// before the first answer.
    #[must_use]
    pub fn heard_ago(&self) -> Option<Duration> {
        self.freshness.as_ref()?.heard_ago(self.clock.monotonic())
    }

    /// The revocations in force. Without a stream, only the caller adds to them.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Keeps keys and revocations current until `stop`. Then it ends the stream, so that the issuer knows that this verifier
    /// is gone, and writes the bundle. Call it once, inside a tokio runtime.
    pub async fn keep_current(self, stop: impl Future<Output = ()> + Send) {
        let keys = self.keys.clone();
        tokio::select! {
            () = self.follow(stop) => {}
            () = keys.poll() => {}
        }
    }

    #[cfg(feature = "watch")]
    async fn follow(self, stop: impl Future<Output = ()> + Send) {
        match self.stream {
            Some(stream) => stream.follow(self.clock, stop).await,
            None => stop.await,
        }
    }

    #[cfg(not(feature = "watch"))]
    async fn follow(self, stop: impl Future<Output = ()> + Send) {
        stop.await;
    }
}
