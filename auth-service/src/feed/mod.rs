//! What a request must not ask the database for, in memory, and kept current with what others write to the same database:
//! the revocation log, and in [`registry`] the audiences and clients.

pub mod registry;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use shared::revocation::Revocations;

use crate::store::{
    Store, StoreError,
    revocations::{LogEntry, Sequence},
};

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
    /// The number of the last entry that was applied.
    applied: Arc<AtomicI64>,
}

impl Feed {
    /// All of the log, applied.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let feed = Self { store, revocations: Arc::default(), applied: Arc::default() };
        feed.catch_up()?;
        Ok(feed)
    }

    /// What is revoked.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Applies what was written just now by this process, so that it holds before it is answered. Its turn in the log
    /// comes again with [`catch_up`](Self::catch_up), which changes nothing then.
    pub fn apply(&self, entries: &[LogEntry]) {
        self.revocations.change(|set| {
            for entry in entries {
                set.add(entry.revocation.clone());
            }
        });
    }

    /// Takes entries out again that were forgotten in the database.
    pub fn forget(&self, entries: &[LogEntry]) {
        self.revocations.change(|set| {
            for entry in entries {
                set.forget(&entry.revocation);
            }
        });
    }

    /// Applies what the log has that was not applied yet, whoever wrote it.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        let mut applied = self.applied.load(Ordering::Acquire);
        let head = self.store.log_head()?;
        while applied < head {
            let entries = self.store.log_after(applied)?;
            let Some(last) = entries.last() else { break };
            self.apply(&entries);
            applied = last.seq;
        }
        self.applied.fetch_max(head.max(applied), Ordering::AcqRel);
        Ok(())
    }

    /// The number of the last entry that was applied.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.applied.load(Ordering::Acquire)
    }
}
