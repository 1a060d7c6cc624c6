//! The doctor: lists the watchers, and finds what is wrong with them.

use std::time::Duration;

use countermark::verify::Position;

use super::Watch;
use crate::{
    domain::{
        diagnosis::{Baseline, Finding, findings},
        watcher::{Watcher, WatcherIdentity, current},
    },
    ops::{AuthService, Fault},
    store::watchers::WatcherRow,
};

/// The pause between two looks at the processes that are watched at.
const LOOK: Duration = Duration::from_millis(100);

/// A process has so many looks to give a sign of life.
const LOOKS: usize = 25;

/// The fewest looks. What is under way gets that far.
const LEAST_LOOKS: usize = 5;

/// What was found.
#[derive(Debug)]
pub struct Diagnosis {
    /// The watchers, and those that have vanished.
    pub watchers: Vec<Watcher>,
    /// What the watchers are compared with.
    pub standard: Baseline,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl AuthService {
    /// Looks at every watcher, at every process. It takes a second or two: a watcher whose process is dead looks alive
    /// at first.
    ///
    /// # Errors
    /// [`Fault`] when the database fails, or a key can't be opened.
    pub async fn diagnose(&self) -> Result<Diagnosis, Fault> {
        self.context.feed.catch_up()?;
        let head = self.context.feed.head();
        let key_set_before = self.keys.published().version.clone();
        let rows = self.watch.settled_rows().await?;
        self.keys.catch_up_with_signing_keys()?;
        let watchers = self.watch.with_local(&rows, head);
        let standard = Baseline {
            head: head.seq,
            key_sets: vec![key_set_before, self.keys.published().version.clone()],
            now: self.context.clock.now(),
        };
        let registry = self.context.registry.now();
        let audiences: Vec<_> = registry.audiences().iter().map(|audience| audience.id.clone()).collect();
        let is_for = |who: &WatcherIdentity, audience: &_| {
            registry.client(&who.client).is_some_and(|client| client.audiences.contains(audience))
        };
        let findings = findings(&watchers, &audiences, &standard, is_for);
        Ok(Diagnosis { watchers, standard, findings })
    }
}

impl Watch {
    /// The watchers at other processes, as stored; a process that gives no sign of life has lost its watchers.
    async fn settled_rows(&self) -> Result<Vec<WatcherRow>, Fault> {
        let elsewhere = || self.context.store.watchers_elsewhere(self.local.process());
        let before = elsewhere()?;
        let mut rows = before.clone();
        for look in 0..LOOKS {
            if look >= LEAST_LOOKS && rows.iter().all(|row| !row.is_connected || has_moved(row, &before)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
            rows = elsewhere()?;
        }
        for row in &mut rows {
            row.is_connected &= has_moved(row, &before);
        }
        Ok(rows)
    }

    fn with_local(&self, rows: &[WatcherRow], head: Position) -> Vec<Watcher> {
        let monotonic = self.context.clock.monotonic();
        let mut watchers = self.local.known(monotonic);
        watchers.extend(self.remote.known(rows, head.log_id, monotonic));
        current(&watchers)
    }
}

/// Whether that row was written since.
fn has_moved(row: &WatcherRow, before: &[WatcherRow]) -> bool {
    let is_as_it_was =
        |old: &WatcherRow| (old.process, old.ordinal, old.beats) == (row.process, row.ordinal, row.beats);
    !before.iter().any(is_as_it_was)
}
