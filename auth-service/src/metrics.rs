//! Metrics of the operations, collected at each scrape: the watchers, their lag, the signing keys, thefts and hashing.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::{domain::signing_key::KeyState, ops::AuthService};

/// Gauges of the operations.
#[derive(Debug)]
pub struct LoopMetrics(Arc<AuthService>);

impl LoopMetrics {
    /// Gauges of `auth`.
    #[must_use]
    pub fn new(auth: Arc<AuthService>) -> Self {
        Self(auth)
    }
}

impl Collector for LoopMetrics {
    /// Without the database nothing is known of other processes, so there are no gauges of watchers and keys.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Sessions that this process has ended because a spent refresh token came back";
        thefts(&mut encoder, help, self.0.sessions.thefts())?;
        let (under_way, waiting) = self.0.sessions.hashing_load();
        let load = |counted: usize| i64::try_from(counted).unwrap_or(i64::MAX);
        let states = [("running", load(under_way)), ("waiting", load(waiting))];
        by_state(&mut encoder, "hashing_jobs", "Passwords that are hashed, or wait to be", &states)?;
        let (Ok(watchers), Ok(keys)) = (self.0.watch.watchers(), self.0.keys.key_statuses()) else {
            return Ok(());
        };
        let head = self.0.watch.log_head();
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let count = |counted: usize| i64::try_from(counted).unwrap_or(i64::MAX);
        let connected = watchers.iter().filter(|watcher| watcher.is_connected).count();
        let vanished = watchers.len() - connected;
        let states = [("connected", count(connected)), ("vanished", count(vanished))];
        let help = "Verifiers that watch revocations, at all processes";
        by_state(&mut encoder, "watchers", help, &states)?;
        gauge(
            &mut encoder,
            "revocation_log_head",
            "The number of the last revocation",
            number(head.number()),
        )?;
        let help = "Whether the mark outside the database can't be written: 1 or 0";
        gauge(&mut encoder, "mark_failing", help, i64::from(self.0.is_mark_failing()))?;
        let lag = watchers.iter().map(|watcher| watcher.lag(head)).max().unwrap_or(0);
        let help = "Revocations that the hindmost watcher has not acknowledged";
        gauge(&mut encoder, "watchers_lag", help, number(lag))?;
        let of = |state| count(keys.iter().filter(|key| key.state() == state).count());
        let states =
            [KeyState::Next, KeyState::Active, KeyState::Retired].map(|state| (state.as_str(), of(state)));
        by_state(&mut encoder, "signing_keys", "Signing keys by state", &states)
    }
}

fn thefts(encoder: &mut DescriptorEncoder<'_>, help: &str, count: u64) -> fmt::Result {
    let counter = ConstCounter::new(count);
    counter.encode(encoder.encode_descriptor("refresh_token_thefts", help, None, counter.metric_type())?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn by_state(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(&str, i64)],
) -> fmt::Result {
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut descriptor = encoder.encode_descriptor(name, help, None, kind)?;
    for (state, value) in values {
        ConstGauge::new(*value).encode(descriptor.encode_family(&[("state", *state)])?)?;
    }
    Ok(())
}
