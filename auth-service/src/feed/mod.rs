//! State in memory that requests read instead of the database. It follows all writes to the database, also those of
//! other processes.
//!
//! - [`log`] — the newest entries of the revocation log
//! - [`watchers`] — watchers of this process
//! - [`remote_watchers`] — watchers of other processes
//! - [`registry`] — audiences and clients

pub mod log;
pub mod registry;
pub mod remote_watchers;
pub mod watchers;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countermark::verify::{Position, RevocationSet, Revocations, Seq};

use crate::store::{Store, StoreError, revocations::LogEntry};
use log::RecentLog;

/// Poll interval of the database. Changes by the command line must take effect within 50 ms.
const INTERVAL: Duration = Duration::from_millis(20);

/// Calls `catch_up` at each interval, until the returned future is dropped. Logs the first of several failures in a
/// row.
pub async fn follow<E: fmt::Display>(what: &str, catch_up: impl Fn() -> Result<(), E>) {
    let mut is_failing = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let outcome = catch_up();
        if let Err(error) = &outcome
            && !is_failing
        {
            tracing::error!(%error, "{what} can't be read");
        }
        is_failing = outcome.is_err();
    }
}

/// The part of the revocation log that this process has applied. Clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    store: Store,
    revocations: Arc<Revocations>,
    log: Arc<RecentLog>,
    /// Held while entries are added to `log`, so that they are added in order.
    catching_up: Arc<Mutex<()>>,
}

impl Feed {
    /// Opens the feed and applies the whole log.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let feed =
            Self { store, revocations: Arc::default(), log: Arc::default(), catching_up: Arc::default() };
        feed.catch_up()?;
        Ok(feed)
    }

    /// The revocations in force.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// The newest entries, for watchers.
    #[must_use]
    pub fn log(&self) -> &RecentLog {
        &self.log
    }

    /// Applies entries that this process has just written, and wakes the watchers. The entries are in force when this
    /// returns, so the caller can then answer.
    ///
    /// Entries of other processes that come before them are read first. If that fails, the next poll reads them.
    pub fn apply(&self, entries: &[LogEntry]) {
        self.add(entries);
        let Some(first) = entries.first() else { return };
        let turn = self.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.log.head();
        if first.seq == head.seq.later(1) {
            self.log.append(head.log_id, entries);
        } else if first.seq > head.seq {
            let _ = self.catch_up_in(&turn);
        }
    }

    /// Removes entries that were deleted from the database.
    pub fn forget(&self, entries: &[LogEntry]) {
        self.revocations.change(|set| {
            for entry in entries {
                set.forget(&entry.revocation);
            }
        });
    }

    /// Applies the entries that this process has not applied yet. If the log has another id (after a restore from a
    /// backup), drops all revocations and applies the new log from its beginning.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        self.catch_up_in(&self.catching_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn catch_up_in(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let head = self.store.log_head()?;
        let mut applied = self.log.head();
        if applied.log_id != head.log_id {
            self.revocations.change(|set| *set = RevocationSet::default());
            applied = Position { log_id: head.log_id, seq: Seq::START };
        }
        while applied.seq < head.seq {
            let entries = self.store.log_after(applied.seq)?;
            let Some(last) = entries.last() else { break };
            self.add(&entries);
            self.log.append(head.log_id, &entries);
            applied.seq = last.seq;
        }
        // The newest entries may have been deleted before this process read them.
        if applied.seq < head.seq || self.log.head().log_id != head.log_id {
            self.log.begin_at(head);
        }
        Ok(())
    }

    fn add(&self, entries: &[LogEntry]) {
        self.revocations.change(|set| {
            for entry in entries {
                set.add(entry.revocation.clone());
            }
        });
    }

    /// The position after the last applied entry.
    #[must_use]
    pub fn head(&self) -> Position {
        self.log.head()
    }
}
