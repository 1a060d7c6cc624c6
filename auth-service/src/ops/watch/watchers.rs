//! Who watches, here and at other processes: known to all of them, for a revocation is confirmed by all or by none.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::domain::watcher::{Watcher, current};
use crate::ops::{AuthService, Error};

/// What a watcher acknowledges is written down so long after it, together with what came meanwhile.
const GATHERING: Duration = Duration::from_millis(5);

/// How often all of them are written down, and those elsewhere looked at.
const BEAT: Duration = Duration::from_secs(1);

impl AuthService {
    /// Everybody who watches, wherever, and those who have vanished.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn watchers(&self) -> Result<Vec<Watcher>, Error> {
        // In this order: who vanishes meanwhile is seen twice, not never.
        let mut all = self.watchers.known(self.clock.monotonic());
        let elsewhere = self.store.watchers_elsewhere(self.watchers.process())?;
        all.extend(self.remote_watchers.known(&elsewhere, self.feed.head().log_id, self.clock.monotonic()));
        Ok(current(&all))
    }

    /// Writes down who watches here, and looks after those elsewhere, until the returned future is dropped.
    pub async fn keep_watchers(&self) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            let is_beat = tokio::select! {
                biased;
                _ = beats.tick() => true,
                () = self.watchers.changed() => false,
            };
            if !is_beat {
                tokio::time::sleep(GATHERING).await;
            }
            let outcome = self.tend_watchers(is_beat).await;
            if let Err(error) = &outcome
                && !is_failing
            {
                tracing::error!(%error, "who watches can't be written down; they are not answered meanwhile");
            }
            is_failing = outcome.is_err();
        }
    }

    /// Writes down, at the stop, that the streams here are over.
    pub async fn release_watchers(&self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        // What can't be written now is found out by the others.
        let _ = tokio::time::timeout(PATIENCE, self.write_watchers(false)).await;
    }

    async fn tend_watchers(&self, is_beat: bool) -> Result<(), Error> {
        self.write_watchers(is_beat).await?;
        if is_beat { self.reap_watchers().await } else { Ok(()) }
    }

    /// Looks at those elsewhere: those whose process is dead have vanished.
    async fn reap_watchers(&self) -> Result<(), Error> {
        let elsewhere = self.store.watchers_elsewhere(self.watchers.process())?;
        let lost = self.remote_watchers.look(elsewhere, self.clock.monotonic());
        if !lost.is_empty() {
            self.store.lose_watchers(lost).await?;
        }
        Ok(())
    }

    async fn write_watchers(&self, all: bool) -> Result<(), Error> {
        let batch = self.watchers.to_write(all, self.clock.monotonic());
        if !batch.is_empty() {
            let changes = batch.changes.clone();
            let arrivals = self.store.write_watchers(self.watchers.process(), changes).await?;
            self.watchers.wrote(batch, &arrivals);
        }
        Ok(())
    }
}
