//! The watchers at this process and at others. All processes know all of them: a revocation is confirmed by every watcher
//! or by none.

use std::time::Duration;

use countermark::verify::Seq;
use tokio::time::MissedTickBehavior;

use super::Watch;
use crate::{
    domain::watcher::{Watcher, current},
    ops::{Context, Fault},
};

/// An acknowledgement is stored so long after it came, with those that came meanwhile.
const GATHERING: Duration = Duration::from_millis(5);

/// The interval at which all watchers are stored, and those of other processes are read.
const BEAT: Duration = Duration::from_secs(1);

impl Watch {
    /// The watchers at every process, and those that have vanished.
    pub fn watchers(&self) -> Result<Vec<Watcher>, Fault> {
        let Context { store, feed, clock, .. } = &self.context;
        // In this order a watcher that vanishes meanwhile is seen twice. In the other order it would be missed.
        let log_id = feed.head().log_id;
        let mut all = self.local.known(log_id, clock.monotonic());
        let elsewhere = store.watchers_elsewhere(self.local.process())?;
        all.extend(self.remote.known(&elsewhere, log_id, clock.monotonic()));
        Ok(current(&all))
    }

    /// The sequence number of the last revocation.
    #[must_use]
    pub fn log_head(&self) -> Seq {
        self.context.feed.head().seq
    }

    /// Stores the watchers of this process, and reads those of others, until the returned future is dropped.
    pub async fn keep_watchers(&self) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            let is_beat = tokio::select! {
                biased;
                _ = beats.tick() => true,
                () = self.local.changed() => false,
            };
            if !is_beat {
                tokio::time::sleep(GATHERING).await;
            }
            let outcome = self.tend_watchers(is_beat).await;
            if let Err(error) = &outcome
                && !is_failing
            {
                tracing::error!(%error, "the watchers can't be stored; they are not answered meanwhile");
            }
            is_failing = outcome.is_err();
        }
    }

    /// Stores, at the stop, that the streams of this process are over.
    pub async fn release_watchers(&self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        // If this fails, the other processes notice the silence.
        let _ = tokio::time::timeout(PATIENCE, self.write_watchers(false)).await;
    }

    async fn tend_watchers(&self, is_beat: bool) -> Result<(), Fault> {
        if is_beat {
            self.look_for_evidence().await?;
        }
        self.write_watchers(is_beat).await?;
        if is_beat { self.reap_watchers().await } else { Ok(()) }
    }

    /// Compares the database with its mark, syncs the mark, and stores evidence that the database went back.
    async fn look_for_evidence(&self) -> Result<(), Fault> {
        let store = &self.context.store;
        if let Some(found) = store.compare_with_mark()? {
            store.report_went_back(found);
        }
        store.keep_evidence().await?;
        // The thread holds the mark alone: with the store it could keep the database open after the stop.
        let mark = store.mark_file().cloned();
        let synced = tokio::task::spawn_blocking(move || mark.map_or(Ok(()), |mark| mark.sync()));
        if let Ok(Err(error)) = synced.await {
            tracing::warn!(%error, "the mark can't be synced");
        }
        Ok(())
    }

    /// Watchers whose process is dead have vanished: that is stored.
    async fn reap_watchers(&self) -> Result<(), Fault> {
        let elsewhere = self.context.store.watchers_elsewhere(self.local.process())?;
        let lost = self.remote.look(elsewhere, self.context.clock.monotonic());
        if !lost.is_empty() {
            self.context.store.lose_watchers(lost).await?;
        }
        Ok(())
    }

    async fn write_watchers(&self, all: bool) -> Result<(), Fault> {
        let batch = self.local.to_write(all, self.context.clock.monotonic());
        if !batch.is_empty() {
            let changes = batch.changes.clone();
            let arrivals = self.context.store.write_watchers(self.local.process(), changes).await?;
            self.local.wrote(batch, &arrivals);
        }
        Ok(())
    }
}
