//! What tokens are judged by: the issuer's keys, what is revoked, and how current both are; and what keeps them so.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use serde_json::{Map, Value, json};
use shared::{
    clock::Clock,
    http::Guard,
    introspection::{IntrospectionClient, IntrospectionConfig},
    jwks::{JwksClient, KeySource, Staleness},
    revocation::{About, Followed, Follower, Freshness, RevocationSet, Revocations, StalePolicy},
    service::{exit::Failure, surroundings::Surroundings},
    token::{AcceptedAudiences, Verifier},
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config::Config;

/// How long the issuer may take to answer about a single token, when this verifier is stale.
const LIVE_ANSWER: Duration = Duration::from_secs(1);

/// What tokens are judged by. Clones share it.
#[derive(Clone, Debug)]
pub struct Verifying {
    keys: JwksClient,
    following: Option<Following>,
    clock: Arc<dyn Clock>,
}

/// The issuer's stream, and what comes of it.
#[derive(Clone, Debug)]
struct Following {
    revocations: Arc<Revocations>,
    freshness: Arc<Freshness>,
    staleness: Staleness,
    follower: Follower,
}

impl Verifying {
    /// As `config` says. `http` is where this service listens: by it an issuer tells several of them apart. Nothing is sent
    /// yet. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`Failure`] when there is no way to reach the issuer as it says.
    pub fn new(config: &Config, surroundings: &Surroundings, http: SocketAddr) -> Result<Self, Failure> {
        let (url, clock) = (config.auth_url.as_str(), Arc::clone(&surroundings.clock));
        let keys = JwksClient::new(url, Arc::clone(&clock), config.jwks_cooldown, config.jwks_timeout)
            .map_err(Failure::start)?;
        let Some(issuer) = issuer(config) else { return Ok(Self { keys, following: None, clock }) };
        let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
        let keys = keys.with_freshness(Arc::clone(&freshness));
        let followed = Followed {
            revocations: Arc::clone(&revocations),
            freshness: Arc::clone(&freshness),
            keys: Arc::new(keys.clone()),
        };
        let follower = Follower::new(
            &issuer,
            about(config, http),
            followed,
            Arc::clone(&clock),
            Arc::clone(&surroundings.random),
        )
        .map_err(|error| Failure::start(format!("RESOURCE_AUTH_GRPC: {error}")))?;
        let mut staleness = Staleness::new(Arc::clone(&freshness), config.stale_after, config.stale_policy);
        if config.stale_policy == StalePolicy::Introspect {
            let client =
                IntrospectionClient::new(&issuer.with_deadline(LIVE_ANSWER)).map_err(Failure::start)?;
            staleness = staleness.asking(Arc::new(client));
        }
        let following = Some(Following { revocations, freshness, staleness, follower });
        Ok(Self { keys, following, clock })
    }

    /// What protects the routes.
    #[must_use]
    pub fn guard(&self, config: &Config) -> Guard {
        let audiences = AcceptedAudiences::AnyOf(vec![config.audience.clone()]);
        let verifier = Verifier::new(config.issuer.clone(), audiences).with_leeway(config.leeway);
        let (keys, clock) = (Arc::new(self.keys.clone()), Arc::clone(&self.clock));
        let guard = Guard::new(verifier, keys, clock, config.audience.as_str())
            .with_locations(config.token_locations.clone());
        match &self.following {
            None => guard,
            Some(Following { revocations, staleness, .. }) => {
                guard.with_revocations(Arc::clone(revocations)).with_staleness(staleness.clone())
            }
        }
    }

    /// Follows the issuer, or polls its keys, until `stop`.
    pub async fn keep_current(self, stop: CancellationToken) {
        let following = async {
            match self.following {
                Some(Following { follower, .. }) => follower.follow(stop.cancelled()).await,
                None => stop.cancelled().await,
            }
        };
        tokio::select! {
            () = following => {}
            () = self.keys.poll() => {}
        }
    }

    /// Whether tokens can be judged.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self) -> Result<(), String> {
        match self.keys.held() {
            Some(_) => Ok(()),
            None => Err("the issuer's keys have not been had yet".to_owned()),
        }
    }

    /// How current the revocations are: "at sequence N, heard X ms ago".
    #[must_use]
    pub fn standing(&self) -> Map<String, Value> {
        let Some(Following { freshness, .. }) = &self.following else { return Map::new() };
        let heard = freshness.heard_ago(self.clock.monotonic());
        let standing = json!({
            "sequence": freshness.position().seq,
            "heard_ms_ago": heard.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        });
        Map::from_iter([("revocations".to_owned(), standing)])
    }
}

impl Collector for Verifying {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(Following { revocations, freshness, .. }) = &self.following else { return Ok(()) };
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats; 2^53 entries are not to be had")]
        let (seq, held) = (freshness.position().seq as f64, revocations.read(RevocationSet::len) as f64);
        let heard = freshness.heard_ago(self.clock.monotonic()).map(|ago| ago.as_secs_f64());
        for (name, help, value) in [
            (
                "revocations_sequence",
                "Number of the last entry of the issuer's log that was applied",
                Some(seq),
            ),
            ("revocations_held", "Revocations in force", Some(held)),
            (
                "issuer_heard_seconds",
                "How long ago the question was sent that the issuer answered last",
                heard,
            ),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
            }
        }
        Ok(())
    }
}

/// Where the issuer's stream is, and who this service is there.
fn issuer(config: &Config) -> Option<IntrospectionConfig> {
    let (url, client) = (config.auth_grpc.as_ref()?, config.client.as_ref()?);
    let secret = Zeroizing::new(client.secret.expose().to_owned());
    Some(IntrospectionConfig::new(url.as_str(), client.id.as_str(), secret))
}

fn about(config: &Config, http: SocketAddr) -> About {
    About {
        name: format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), http.port()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy: config.stale_policy,
        stale_after: config.stale_after,
        leeway: config.leeway,
    }
}
