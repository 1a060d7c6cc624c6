//! Makes the issuer that this service follows out of the settings, and measures how current it is.

use std::{net::SocketAddr, sync::Arc};

use countermark::{
    http::{Csrf, Guard, Locations},
    issuer::{FollowError, FollowedIssuer},
    verify::{RevocationSet, Seq},
};
use countermark_service::{env::Env, exit::Failure, http::CorsOrigin};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use serde_json::{Map, Value, json};

use crate::{config::Config, issuer};

/// The issuer of `config`, with the keys and revocations that an earlier run left in the bundle. `http` is the address of this
/// service: its port tells several services of one machine apart. Nothing is sent yet. Call it inside a tokio runtime.
///
/// # Errors
/// [`Failure`] when the issuer can't be reached with these settings.
pub fn follow(config: &Config, env: &Env, http: SocketAddr) -> Result<FollowedIssuer, Failure> {
    let to_issuer = issuer::http(config)
        .map_err(|error| Failure::start(format!("the issuer's keys can't be fetched: {error}")))?;
    let mut builder = FollowedIssuer::builder(config.issuer.as_str(), config.audience.as_str())
        .with_leeway(config.leeway)
        .with_address(config.auth_url.as_str())
        .with_http(to_issuer)
        .with_cooldown(config.jwks_cooldown)
        .with_clock(Arc::clone(&env.clock))
        .with_random(Arc::clone(&env.random));
    if let (Some(grpc), Some(client)) = (&config.auth_grpc, &config.client) {
        builder = builder
            .with_stream(issuer::grpc(config, grpc, client))
            .with_name(format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), http.port()))
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_stale_policy(config.stale_policy)
            .with_stale_after(config.stale_after)
            .with_bundle(&config.bundle_file, config.bundle_ttl);
    }
    builder.build().map_err(|error| match error {
        FollowError::Keys(error) => Failure::start(error),
        FollowError::Stream(error) => Failure::start(format!("RESOURCE_AUTH_GRPC: {error}")),
    })
}

/// The guard of all routes.
#[must_use]
pub fn guard(issuer: &FollowedIssuer, config: &Config) -> Guard {
    // Pages that may call may open WebSockets, too.
    let csrf = Csrf::default().allow_origins(config.cors_origins.iter().map(CorsOrigin::as_str));
    Guard::new(issuer.trusted_issuer(), config.audience.as_str())
        .with_locations(Locations::of(config.token_locations.clone()).with_csrf(csrf))
}

/// The position in the revocation log and its age, as the health page shows them; empty without a stream.
#[must_use]
pub fn standing(issuer: &FollowedIssuer) -> Map<String, Value> {
    if !issuer.has_stream() {
        return Map::new();
    }
    let last_seen = issuer.heard_ago().map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
    let standing = json!({ "sequence": seq(issuer).number(), "heard_ms_ago": last_seen });
    Map::from_iter([("revocations".to_owned(), standing)])
}

fn seq(issuer: &FollowedIssuer) -> Seq {
    issuer.position().map_or(Seq::START, |position| position.seq)
}

/// Metrics of the followed issuer; none without a stream.
#[derive(Debug)]
pub struct IssuerMetrics(pub FollowedIssuer);

impl Collector for IssuerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Self(issuer) = self;
        if !issuer.has_stream() {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats; 2^53 entries are not to be had")]
        let (seq, held) = (seq(issuer).number() as f64, issuer.revocations().read(RevocationSet::len) as f64);
        let last_seen = issuer.heard_ago().map(|ago| ago.as_secs_f64());
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
                last_seen,
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
