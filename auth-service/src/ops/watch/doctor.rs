//! Who watches, and what is wrong with it.

use std::time::Duration;

use crate::ops::{AuthService, Error};
use crate::{
    domain::{
        diagnosis::{Baseline, Finding, findings},
        watcher::{Watcher, WatcherIdentity, current},
    },
    store::watchers::WatcherRow,
};

/// How often is looked whether the processes that are watched at are alive.
const LOOK: Duration = Duration::from_millis(100);

/// So many looks are given to what is under way, and to a process for its next sign of life.
const LOOKS: usize = 25;

/// The least of them: what is under way gets that far.
const LEAST_LOOKS: usize = 5;

/// What was found.
#[derive(Debug)]
pub struct Diagnosis {
    /// Everybody who watches, and those who have vanished.
    pub watchers: Vec<Watcher>,
    /// What they are held against.
    pub standard: Baseline,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl AuthService {
    /// Looks at everybody who watches, at whichever process. Takes a second or two, for a watcher whose process is dead looks
    /// alive at first.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn diagnose(&self) -> Result<Diagnosis, Error> {
        self.feed.catch_up()?;
        let head = self.feed.head();
        let key_set_before = self.published_keys().version.clone();
        let before = self.store.watchers_elsewhere(self.watchers.process())?;
        let mut rows = before.clone();
        for look in 0..LOOKS {
            if look >= LEAST_LOOKS && rows.iter().all(|row| !row.is_connected || has_moved(row, &before)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
            rows = self.store.watchers_elsewhere(self.watchers.process())?;
        }
        for row in &mut rows {
            row.is_connected &= has_moved(row, &before);
        }
        self.catch_up_with_signing_keys()?;
        let mut watchers = self.watchers.known(self.clock.monotonic());
        watchers.extend(self.remote_watchers.known(&rows, head.log_id, self.clock.monotonic()));
        let watchers = current(&watchers);
        let standard = Baseline {
            head: head.seq,
            key_sets: vec![key_set_before, self.published_keys().version.clone()],
            now: self.clock.now(),
        };
        let registry = self.registry.now();
        let audiences: Vec<_> = registry.audiences().iter().map(|audience| audience.id.clone()).collect();
        let is_for = |who: &WatcherIdentity, audience: &_| {
            registry.client(&who.client).is_some_and(|client| client.audiences.contains(audience))
        };
        let findings = findings(&watchers, &audiences, &standard, is_for);
        Ok(Diagnosis { watchers, standard, findings })
    }
}

/// Whether that row was written since.
fn has_moved(row: &WatcherRow, before: &[WatcherRow]) -> bool {
    let is_as_it_was =
        |old: &WatcherRow| (old.process, old.ordinal, old.beats) == (row.process, row.ordinal, row.beats);
    !before.iter().any(is_as_it_was)
}
