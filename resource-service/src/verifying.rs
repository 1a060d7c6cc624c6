//! What tokens are judged by: the issuer's keys, what is revoked, and how current both are; and what keeps them so.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use countermark::{
    clock::Clock,
    http::Guard,
    issuer::{
        About, Bundle, BundleFile, BundleKey, Followed, Follower, JwksClient, KeySource, NoBundle, Staleness,
        introspection::{IntrospectionClient, InvalidConfig},
    },
    verify::{AcceptedAudiences, Freshness, RevocationSet, Revocations, StalePolicy, Verifier},
};
use countermark_service::{env::Env, exit::Failure};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    config::{Client, Config},
    issuer,
};

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
    followed: Followed,
    staleness: Staleness,
    follower: Follower,
    bundle: BundleFile,
}

impl Verifying {
    /// As `config` says, and as the bundle of an earlier run has it. `http` is where this service listens: by it an issuer
    /// tells several of them apart. Nothing is sent yet. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`Failure`] when there is no way to reach the issuer as it says.
    pub fn new(config: &Config, env: &Env, http: SocketAddr) -> Result<Self, Failure> {
        let (url, clock) = (config.auth_url.as_str(), Arc::clone(&env.clock));
        let to_issuer = issuer::http(config)
            .map_err(|error| Failure::start(format!("the issuer's keys can't be fetched: {error}")))?;
        let keys = JwksClient::with_http(url, to_issuer, Arc::clone(&clock), config.jwks_cooldown)
            .map_err(Failure::start)?;
        let (Some(grpc), Some(client)) = (&config.auth_grpc, &config.client) else {
            return Ok(Self { keys, following: None, clock });
        };
        let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
        let bundle = bundle_file(config, client);
        let keys = match begin(&bundle, &*clock) {
            Some(found) => {
                freshness.stand_at(found.position);
                revocations.change(|set| *set = found.revocations);
                keys.with_keys(found.keys)
            }
            None => keys,
        };
        let keys = keys.with_freshness(Arc::clone(&freshness));
        let followed = Followed { revocations, freshness, keys: Arc::new(keys.clone()) };
        let following = Following::new(config, grpc, client, bundle, followed, (http, env));
        let following = following.map_err(|error| Failure::start(format!("RESOURCE_AUTH_GRPC: {error}")))?;
        Ok(Self { keys, following: Some(following), clock })
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
            Some(Following { followed, staleness, .. }) => {
                guard.with_revocations(Arc::clone(&followed.revocations)).with_staleness(staleness.clone())
            }
        }
    }

    /// Follows the issuer, or polls its keys, until `stop`; what is known then outlives the process in the bundle.
    pub async fn keep_current(self, stop: CancellationToken) {
        let following = async {
            match self.following {
                Some(Following { follower, followed, bundle, .. }) => {
                    let keeping = bundle.keep(followed, self.clock, stop.cancelled());
                    tokio::join!(follower.follow(stop.cancelled()), keeping);
                }
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
        let Some(Following { followed: Followed { freshness, .. }, .. }) = &self.following else {
            return Map::new();
        };
        let heard = freshness.heard_ago(self.clock.monotonic());
        let standing = json!({
            "sequence": freshness.seq().number(),
            "heard_ms_ago": heard.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        });
        Map::from_iter([("revocations".to_owned(), standing)])
    }
}

impl Following {
    fn new(
        config: &Config,
        grpc: &Url,
        client: &Client,
        bundle: BundleFile,
        followed: Followed,
        (http, env): (SocketAddr, &Env),
    ) -> Result<Self, InvalidConfig> {
        let issuer = issuer::grpc(config, grpc, client);
        let Env { clock, random } = env.clone();
        let follower = Follower::new(&issuer, about(config, http), followed.clone(), clock, random)?;
        let freshness = Arc::clone(&followed.freshness);
        let mut staleness = Staleness::new(freshness, config.stale_after, config.stale_policy);
        if config.stale_policy == StalePolicy::Introspect {
            let issuer = issuer.with_deadline(LIVE_ANSWER);
            staleness = staleness.with_introspection(Arc::new(IntrospectionClient::new(&issuer)?));
        }
        Ok(Self { followed, staleness, follower, bundle })
    }
}

impl Collector for Verifying {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(Following { followed: Followed { revocations, freshness, .. }, .. }) = &self.following
        else {
            return Ok(());
        };
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats; 2^53 entries are not to be had")]
        let (seq, held) = (freshness.seq().number() as f64, revocations.read(RevocationSet::len) as f64);
        let heard = freshness.heard_ago(self.clock.monotonic()).map(|ago| ago.as_secs_f64());
        for (name, help, value) in [
            (
                "revocations_sequence",
                "Number of the last entry of the issuer's log that was applied",
                Some(seq),
            ),
            ("revocations_held", "Revocations in force", Some(held)),
            (
                "issuer_last_seen_seconds",
                "Age of the last answer of the issuer, counted from the request, in seconds",
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

/// What an earlier run left behind, if it is of use.
fn begin(bundle: &BundleFile, clock: &dyn Clock) -> Option<Bundle> {
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

fn bundle_file(config: &Config, client: &Client) -> BundleFile {
    BundleFile {
        path: config.bundle_file.clone(),
        key: BundleKey::derived_from(client.secret.expose()),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        ttl: config.bundle_ttl,
    }
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
