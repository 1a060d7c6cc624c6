//! Metrics of connections, by listener: how many are open, how many may be, and why they were closed.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::choice::Chosen;

/// The metrics of all listeners of a process.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMetrics {
    open: Family<Listener, Gauge>,
    limit: Family<Listener, Gauge>,
    closed: Family<Closed, Counter>,
}

impl ConnectionMetrics {
    /// New metrics, `connections`, `connections_limit` and `connections_closed_total`, in `registry`, after its prefix.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("connections", "Open connections", metrics.open.clone());
        registry.register(
            "connections_limit",
            "The most connections that may be open",
            metrics.limit.clone(),
        );
        let help = "Connections that the listener closed, by reason";
        registry.register("connections_closed", help, metrics.closed.clone());
        metrics
    }

    /// The metrics of the listener `name`: `http`, `grpc` or `ops`.
    #[must_use]
    pub fn of(&self, name: &'static str) -> ListenerMetrics {
        ListenerMetrics { all: self.clone(), name }
    }
}

/// The metrics of one listener.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    all: ConnectionMetrics,
    name: &'static str,
}

impl ListenerMetrics {
    /// The name of the listener.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.all.limit.get_or_create(&Listener { listener: self.name }).set(number(limit));
        for reason in Reason::ALL {
            drop(self.all.closed.get_or_create(&Closed { listener: self.name, reason }));
        }
    }

    pub(super) fn set_open(&self, open: usize) {
        self.all.open.get_or_create(&Listener { listener: self.name }).set(number(open));
    }

    pub(crate) fn count(&self, reason: Reason) {
        self.all.closed.get_or_create(&Closed { listener: self.name, reason }).inc();
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Why the listener closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// It was idle for too long.
    IdleTimeout,
    /// Its request head, or its first request, did not come in time.
    HeadTimeout,
    /// Its TLS handshake was not done in time.
    HandshakeTimeout,
    /// The port was full, and it idled.
    FullIdle,
    /// The port was full, and none idled.
    FullBusy,
    /// The port was full, and its own address held most.
    FullRefused,
    /// The process had no file descriptor left, and it idled.
    DescriptorsIdle,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::IdleTimeout,
        Self::HeadTimeout,
        Self::HandshakeTimeout,
        Self::FullIdle,
        Self::FullBusy,
        Self::FullRefused,
        Self::DescriptorsIdle,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::IdleTimeout => "idle_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::FullIdle => "full_idle",
            Self::FullBusy => "full_busy",
            Self::FullRefused => "full_refused",
            Self::DescriptorsIdle => "descriptors_idle",
        }
    }
}

impl From<Chosen> for Reason {
    fn from(chosen: Chosen) -> Self {
        match chosen {
            Chosen::Idle => Self::FullIdle,
            Chosen::Newest => Self::FullBusy,
            Chosen::Newcomer => Self::FullRefused,
        }
    }
}

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    listener: &'static str,
    reason: Reason,
}
