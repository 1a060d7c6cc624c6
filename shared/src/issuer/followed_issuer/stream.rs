//! The part of a followed issuer that needs its stream of revocations: the follower, the stale policy, and the bundle on disk.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{FollowError, FollowedIssuerBuilder};
use crate::{
    clock::Clock,
    issuer::{
        About, Bundle, BundleKey, Followed, Follower, JwksClient, Staleness,
        bundle_file::{BundleFile, NoBundle},
        introspection::{IntrospectionClient, IntrospectionConfig},
    },
    random::{Random, SystemRandom},
    verify::{Audience, Freshness, Issuer, Revocations, StalePolicy},
};

/// Longest time for the issuer's answer about a single token, when this verifier is stale.
const LIVE_ANSWER: Duration = Duration::from_secs(1);

/// Settings of the stream.
#[derive(Clone, Debug)]
pub(super) struct StreamSettings {
    pub(super) grpc: Option<IntrospectionConfig>,
    pub(super) about: About,
    bundle: Option<(PathBuf, Duration)>,
    random: Arc<dyn Random>,
}

/// The issuer's stream, and what it keeps current.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    followed: Followed,
    follower: Follower,
    bundle: Option<BundleFile>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { grpc: None, about: About::new(host), bundle: None, random: Arc::new(SystemRandom) }
    }
}

impl FollowedIssuerBuilder {
    /// Follows the issuer's revocations over its gRPC port, so that a revoked token is refused at once. Without a stream such a
    /// token is accepted until it expires.
    #[must_use]
    pub fn with_stream(mut self, grpc: IntrospectionConfig) -> Self {
        self.stream.grpc = Some(grpc);
        self
    }

    /// Names this verifier in `auth-service doctor`: at most 255 bytes. The default is the machine's name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.stream.about.name = name.into();
        self
    }

    /// Names the version of this program in `auth-service doctor`: at most 255 bytes. The default is this crate's version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.stream.about.version = version.into();
        self
    }

    /// Sets how long the issuer may be silent before the stale policy applies. The default is 5 s.
    #[must_use]
    pub fn with_stale_after(mut self, after: Duration) -> Self {
        self.stream.about.stale_after = after;
        self
    }

    /// Sets what happens to good tokens when the issuer has been silent for too long. The default accepts them.
    #[must_use]
    pub fn with_stale_policy(mut self, policy: StalePolicy) -> Self {
        self.stream.about.policy = policy;
        self
    }

    /// Keeps keys and revocations in the file `path`, so that this verifier starts while the issuer is down. The file is of use
    /// for `ttl` after the issuer's last answer. It is authenticated with a key that is derived from the client's secret.
    #[must_use]
    pub fn with_bundle(mut self, path: impl Into<PathBuf>, ttl: Duration) -> Self {
        self.stream.bundle = Some((path.into(), ttl));
        self
    }

    /// Draws the pauses between two attempts from `random`. The default is the system's randomness.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Random>) -> Self {
        self.stream.random = random;
        self
    }
}

impl StreamSettings {
    /// Prepares the stream, starts from the bundle if there is one, and lets the stream announce new keys.
    pub(super) fn connect(
        self,
        grpc: &IntrospectionConfig,
        keys: JwksClient,
        clock: &Arc<dyn Clock>,
        (issuer, audience): (&Issuer, &Audience),
    ) -> Result<(Stream, JwksClient, Staleness), FollowError> {
        let Self { about, bundle, random, .. } = self;
        let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
        let bundle = bundle.map(|(path, ttl)| BundleFile {
            path,
            key: BundleKey::derived_from(grpc.client_secret()),
            issuer: issuer.clone(),
            audience: audience.clone(),
            ttl,
        });
        let keys = match bundle.as_ref().and_then(|bundle| load(bundle, &**clock)) {
            Some(found) => {
                freshness.stand_at(found.position);
                if let Some(proven) = found.proven {
                    freshness.prove(proven);
                }
                revocations.change(|set| *set = found.revocations);
                keys.with_keys(found.keys)
            }
            None => keys,
        };
        let keys = keys.with_freshness(Arc::clone(&freshness));
        let staleness = staleness(grpc, &about, &freshness)?;
        let followed = Followed::new(revocations, freshness, Arc::new(keys.clone()));
        let follower = Follower::new(grpc, about, followed.clone(), Arc::clone(clock), random)?;
        Ok((Stream { followed, follower, bundle }, keys, staleness))
    }
}

impl Stream {
    pub(super) fn shared(&self) -> (Arc<Revocations>, Arc<Freshness>) {
        (Arc::clone(&self.followed.revocations), Arc::clone(&self.followed.freshness))
    }

    /// Follows the stream until `stop`, and keeps the bundle as long; the last bundle is written after the stream has ended.
    pub(super) async fn follow(self, clock: Arc<dyn Clock>, stop: impl Future<Output = ()> + Send) {
        let following = self.follower.follow(stop);
        match self.bundle {
            Some(bundle) => bundle.keep(self.followed, clock, following).await,
            None => following.await,
        }
    }
}

fn staleness(
    grpc: &IntrospectionConfig,
    about: &About,
    freshness: &Arc<Freshness>,
) -> Result<Staleness, FollowError> {
    let staleness = Staleness::new(Arc::clone(freshness), about.stale_after, about.policy);
    if about.policy != StalePolicy::Introspect {
        return Ok(staleness);
    }
    let client = IntrospectionClient::new(&grpc.clone().with_deadline(LIVE_ANSWER))?;
    Ok(staleness.with_introspection(Arc::new(client)))
}

/// The bundle of an earlier run, if it is of use.
fn load(bundle: &BundleFile, clock: &dyn Clock) -> Option<Bundle> {
    match bundle.load(clock) {
        Ok(found) => {
            let (seq, heard_at) = (found.position.seq.number(), found.heard_at);
            tracing::info!(revocations.seq = seq, bundle.heard_at = %heard_at, "starting from the bundle");
            Some(found)
        }
        Err(NoBundle::Absent) => None,
        Err(error) => {
            tracing::warn!(%error, bundle.path = %bundle.path.display(), "starting without the bundle");
            None
        }
    }
}
