//! The part `watch`: verifiers follow the revocation log, and a revocation waits until it holds at all of them.
//!
//! It touches the revocation log, the table of watchers, and the published half of the key ring. It reads the registry to
//! see whether a watcher's client may still watch. It proves positions of the log with a MAC key. It sees no private key, no account and no session.
//!
//! - [`stream`] — a watcher's side of the log
//! - [`watchers`] — all watchers, at all processes
//! - [`barrier`] — waits until a revocation holds at every watcher; `waits`: all who wait, for whom one looks
//! - [`doctor`] — what the doctor sees of the watchers

pub mod barrier;
mod confirmation;
pub mod doctor;
pub mod stream;
mod waits;
pub mod watchers;

use std::sync::Arc;

use super::Context;
use crate::{
    feed::{remote_watchers::RemoteWatchers, watchers::Watchers},
    keys::{proof_key::ProofKey, ring::KeyRing},
};
use waits::Waits;

/// Verifiers follow the revocation log.
#[derive(Debug)]
pub struct Watch {
    context: Context,
    ring: Arc<KeyRing>,
    /// The watchers at this process.
    local: Watchers,
    /// What was seen of the watchers at other processes.
    remote: RemoteWatchers,
    /// Proves positions to watchers.
    positions: ProofKey,
    /// Those who wait for a revocation.
    waits: Waits,
}

impl Watch {
    /// No watcher yet, at the process that `local` names.
    #[must_use]
    pub fn new(context: Context, ring: Arc<KeyRing>, local: Watchers, positions: ProofKey) -> Self {
        Self { context, ring, local, remote: RemoteWatchers::default(), positions, waits: Waits::default() }
    }
}

#[cfg(test)]
mod tests {
    use countermark::verify::StalePolicy;

    use super::*;
    use crate::ops::{
        caller::{Caller, Proof},
        testing,
        watch::stream::{Hello, WatchEvent},
    };

    #[tokio::test]
    async fn a_watcher_is_sent_what_is_revoked_before_anything_else() {
        let bench = testing::Bench::open().await;
        let watch = Arc::new(bench.watch());
        bench.register_client().await;
        let registry = bench.context.registry.now();
        let caller = Caller::new(testing::Bench::introspector(), Proof::Assertion, &registry).unwrap();
        let hello = Hello {
            position: None,
            proven: None,
            name: "one".to_owned(),
            version: String::new(),
            policy: StalePolicy::Deny,
            stale_after: std::time::Duration::from_secs(5),
            algorithms: Vec::new(),
            takes_fingerprints: false,
        };
        let mut stream = watch.begin(caller, hello).await.unwrap();
        let event = stream.next().await.unwrap();
        assert!(
            matches!(&event, WatchEvent::Snapshot { entries, is_last: true, .. } if entries.is_empty()),
            "{event:?}"
        );
        assert_eq!(watch.watchers().unwrap().len(), 1);
        drop(stream);
        assert!(!watch.watchers().unwrap()[0].is_connected);
    }

    #[tokio::test]
    async fn an_audience_that_nobody_watches_for_is_named() {
        let bench = testing::Bench::open().await;
        let watch = bench.watch();
        let confirmation = watch.confirm(watch.revoked_so_far().unwrap()).await.unwrap();
        assert!(!confirmation.is_complete() && confirmation.unconfirmed.is_empty());
        assert_eq!(confirmation.incomplete, Some(barrier::Incomplete::Unwatched));
    }
}
