//! The key set of a verifier in the simulation. It is fetched over simulated connections in three cases: when the
//! issuer announces a new one, when a token's key is unknown, and when the set is too old while no stream announces new
//! ones. `JwksClient` does the same, but its connections cannot be simulated.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use countermark::{
    clock::Clock as _,
    issuer::KeySource,
    random::Random,
    verify::{Freshness, KeySet},
};
use tokio::io::AsyncReadExt as _;
use turmoil::net::TcpStream;

use crate::{
    issuer::{KEYS_PORT, MAX_AGE},
    time::SimulatedClock,
};

/// Longest time of one fetch.
const PATIENCE: Duration = Duration::from_secs(3);

/// Shortest time between two fetches that were not announced.
const COOLDOWN: Duration = Duration::from_secs(1);

/// Interval at which the age of the set is checked.
const LOOK: Duration = Duration::from_millis(500);

/// The key set of one process of a verifier.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) issuers: Vec<String>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) clock: SimulatedClock,
    pub(crate) held: Mutex<Held>,
    /// Start time of the last fetch. The lock is held during a fetch, so that fetches do not overlap.
    pub(crate) asking: tokio::sync::Mutex<Option<Duration>>,
}

#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) keys: Option<Arc<KeySet>>,
    fetched_at: Option<Duration>,
    announced: Option<String>,
}

impl Held {
    pub(crate) fn beginning_with(keys: Option<KeySet>) -> Self {
        Self { keys: keys.map(Arc::new), ..Self::default() }
    }

    fn version(&self) -> Option<&str> {
        self.keys.as_ref()?.version()
    }
}

impl Keys {
    /// Fetches the key set when it is too old and no stream announces new ones.
    pub(crate) async fn poll(&self) {
        loop {
            let now = self.clock.monotonic();
            let is_old =
                self.held.lock().unwrap().fetched_at.is_none_or(|at| now >= at.saturating_add(MAX_AGE));
            if is_old {
                drop(self.newer().await);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_notified(&self) -> bool {
        let held = self.held.lock().unwrap();
        let is_current = held.version().is_some() && held.version() == held.announced.as_deref();
        is_current && self.freshness.is_live(self.clock.monotonic())
    }

    async fn newer_now(&self) -> Option<Arc<KeySet>> {
        let came_at = self.clock.monotonic();
        let mut asked_at = self.asking.lock().await;
        if asked_at.is_some_and(|at| at >= came_at) {
            return self.held();
        }
        let now = self.clock.monotonic();
        if asked_at.is_some_and(|at| now.saturating_sub(at) < COOLDOWN) {
            return None;
        }
        *asked_at = Some(now);
        self.fetch().await.ok()
    }

    async fn fetch(&self) -> io::Result<Arc<KeySet>> {
        let [drawn] = self.random.bytes().unwrap();
        let issuer = self.issuers[usize::from(drawn) % self.issuers.len()].clone();
        let asked_at = self.clock.monotonic();
        let reading = async {
            let mut stream = TcpStream::connect((issuer, KEYS_PORT)).await?;
            let mut json = Vec::new();
            stream.read_to_end(&mut json).await?;
            KeySet::from_json(&json).map_err(io::Error::other)
        };
        let keys = Arc::new(tokio::time::timeout(PATIENCE, reading).await??);
        let mut held = self.held.lock().unwrap();
        held.fetched_at = Some(asked_at);
        // The version is unchanged. The old set stays, so that cached tokens stay verified.
        if held.version() != keys.version() {
            held.keys = Some(keys);
        }
        Ok(Arc::clone(held.keys.as_ref().unwrap()))
    }
}

impl KeySource for Keys {
    fn held(&self) -> Option<Arc<KeySet>> {
        self.held.lock().unwrap().keys.clone()
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(async { if self.is_notified() { None } else { self.newer_now().await } })
    }

    fn announce(&self, version: &str) {
        self.held.lock().unwrap().announced = Some(version.to_owned());
    }

    fn fetch_version<'a>(&'a self, version: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let mut asked_at = self.asking.lock().await;
            if self.held.lock().unwrap().version() != Some(version) {
                *asked_at = Some(self.clock.monotonic());
                drop(self.fetch().await);
            }
        })
    }
}
