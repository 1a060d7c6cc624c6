//! What a request must not ask the database for, in memory, and kept current with what others write to the same database:
//! the revocation log, its newest entries in [`log`] for
//! those who watch it, [`watchers`] here and [`remote_watchers`] of those elsewhere, and in [`registry`] the audiences and clients.

pub mod log;
pub mod registry;
pub mod remote_watchers;
pub mod watchers;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countermark::verify::{RevocationSet, Revocations};

use crate::store::{
    Store, StoreError,
    revocations::{LogEntry, Position},
};
use log::RecentLog;

/// How often the database is looked at for what others wrote: what the command line does takes effect within 50 ms.
const INTERVAL: Duration = Duration::from_millis(20);

/// Catches up again and again, until the returned future is dropped. When it begins to fail, that is logged once.
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

/// What this process has applied of the log. Clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    store: Store,
    revocations: Arc<Revocations>,
    log: Arc<RecentLog>,
    /// So that entries come into the log in their order, whoever reads them.
    catching_up: Arc<Mutex<()>>,
}

impl Feed {
    /// All of the log, applied.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let feed =
            Self { store, revocations: Arc::default(), log: Arc::default(), catching_up: Arc::default() };
        feed.catch_up()?;
        Ok(feed)
    }

    /// What is revoked.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// The newest entries, for those who watch.
    #[must_use]
    pub fn log(&self) -> &RecentLog {
        &self.log
    }

    /// Applies what was written just now by this process, so that it holds before it is answered, and tells those who
    /// watch. What others wrote before it is caught up with; if that can't be read, the next turn does it.
    pub fn apply(&self, entries: &[LogEntry]) {
        self.add(entries);
        let Some(first) = entries.first() else { return };
        let turn = self.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.log.head();
        if first.seq == head.seq + 1 {
            self.log.append(head.log_id, entries);
        } else if first.seq > head.seq {
            let _ = self.catch_up_in(&turn);
        }
    }

    /// Takes entries out again that were forgotten in the database.
    pub fn forget(&self, entries: &[LogEntry]) {
        self.revocations.change(|set| {
            for entry in entries {
                set.forget(&entry.revocation);
            }
        });
    }

    /// Applies what the log has that was not applied yet, whoever wrote it. After a restore from a backup it is another
    /// log, and holds alone.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        self.catch_up_in(&self.catching_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn catch_up_in(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let head = self.store.log_head()?;
        let mut applied = self.log.head();
        if applied.log_id != head.log_id {
            self.revocations.change(|set| *set = RevocationSet::default());
            applied = Position { log_id: head.log_id, seq: 0 };
        }
        while applied.seq < head.seq {
            let entries = self.store.log_after(applied.seq)?;
            let Some(last) = entries.last() else { break };
            self.add(&entries);
            self.log.append(head.log_id, &entries);
            applied.seq = last.seq;
        }
        // Entries at the end may have been forgotten before they were read here.
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

    /// The place after the last entry that was applied.
    #[must_use]
    pub fn head(&self) -> Position {
        self.log.head()
    }
}
