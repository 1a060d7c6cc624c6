//! The doctor: lists the watchers, and finds what is wrong with them.

use crate::{
    domain::{
        diagnosis::{Baseline, Finding, findings},
        watcher::{Watcher, WatcherIdentity},
    },
    ops::{AuthService, Fault},
};

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
