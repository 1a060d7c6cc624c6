//! Guards that are made of no more than an issuer's address: its keys are fetched and kept current, and what it revokes is
//! followed.

use std::{sync::Arc, time::Duration};

use super::Guard;
use crate::{
    clock::{Clock, SystemClock},
    issuer::{ClientError, JwksClient},
    verify::{AcceptedAudiences, Audience, Issuer, Verifier},
};

/// The least time between two fetches of the keys.
const COOLDOWN: Duration = Duration::from_secs(10);

/// How long a fetch of the keys may take.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Guard {
    /// Believes tokens of `issuer` for `audience`, by the keys that it publishes: fetched when the first token comes, again
    /// whenever their `max-age` has passed, and when a token names a new one, at most every ten seconds. `audience` is also
    /// the realm. Call it inside a tokio runtime; the keys are kept current for as long as that runs.
    ///
    /// A token that the issuer revokes is believed until it expires; `Guard::following`, with the feature `watch`, knows
    /// better.
    ///
    /// # Errors
    /// [`ClientError`] when `issuer` is no HTTP URL, or the HTTP client can't be set up.
    pub fn for_issuer(issuer: &str, audience: &str) -> Result<Self, ClientError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keys = JwksClient::new(issuer, Arc::clone(&clock), COOLDOWN, TIMEOUT)?;
        tokio::spawn(keys.clone().poll());
        Ok(Self::new(verifier(issuer, audience, Duration::ZERO), Arc::new(keys), clock, audience))
    }
}

fn verifier(issuer: &str, audience: &str, leeway: Duration) -> Verifier {
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new(audience)]);
    Verifier::new(Issuer::new(issuer), audiences).with_leeway(leeway)
}

#[cfg(feature = "watch")]
pub use following::FollowError;

#[cfg(feature = "watch")]
mod following {
    use std::sync::Arc;

    use super::{COOLDOWN, TIMEOUT, verifier};
    use crate::{
        clock::{Clock, SystemClock},
        http::Guard,
        issuer::{
            About, ClientError, Followed, Follower, JwksClient, Staleness,
            introspection::{IntrospectionClient, IntrospectionConfig, InvalidConfig},
        },
        random::SystemRandom,
        verify::{Freshness, Revocations, StalePolicy},
    };

    /// An issuer can't be followed as it was said.
    #[derive(Debug, thiserror::Error)]
    pub enum FollowError {
        /// Its keys can't be fetched so.
        #[error("the issuer's keys: {0}")]
        Keys(#[from] ClientError),
        /// Its stream can't be opened so.
        #[error("the issuer's stream: {0}")]
        Stream(#[from] InvalidConfig),
    }

    impl Guard {
        /// The same as [`for_issuer`](Guard::for_issuer), and refuses what the issuer revokes, as soon as it does: over the
        /// stream of its gRPC port, at `grpc`. `about` says what this service is called there, and what is to be done with
        /// tokens when the issuer has not been heard of for too long. Call it inside a tokio runtime; the stream is kept until
        /// `stop`, and then ended, so that the issuer knows.
        ///
        /// # Errors
        /// [`FollowError`] says what can't be used. Whether the issuer is there shows later.
        pub fn following(
            issuer: &str,
            audience: &str,
            grpc: &IntrospectionConfig,
            about: About,
            stop: impl Future<Output = ()> + Send + 'static,
        ) -> Result<Self, FollowError> {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
            let keys = JwksClient::new(issuer, Arc::clone(&clock), COOLDOWN, TIMEOUT)?
                .with_freshness(Arc::clone(&freshness));
            let followed = Followed {
                revocations: Arc::clone(&revocations),
                freshness: Arc::clone(&freshness),
                keys: Arc::new(keys.clone()),
            };
            let mut staleness = Staleness::new(freshness, about.stale_after, about.policy);
            if about.policy == StalePolicy::Introspect {
                staleness = staleness.with_introspection(Arc::new(IntrospectionClient::new(grpc)?));
            }
            let verifier = verifier(issuer, audience, about.leeway);
            let follower = Follower::new(grpc, about, followed, Arc::clone(&clock), Arc::new(SystemRandom))?;
            tokio::spawn(keys.clone().poll());
            tokio::spawn(follower.follow(stop));
            Ok(Self::new(verifier, Arc::new(keys), clock, audience)
                .with_revocations(revocations)
                .with_staleness(staleness))
        }
    }
}
