//! The revocation log in memory: what this process has applied of it, kept current with what others write to the same
//! database.

use std::{
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

/// How often the log is looked at for what others wrote: what the command line does takes effect within 50 ms.
const INTERVAL: Duration = Duration::from_millis(20);

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

    /// Keeps it current until the returned future is dropped.
    pub async fn follow(self) {
        let mut is_failing = false;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let outcome = self.catch_up();
            if let Err(error) = &outcome
                && !is_failing
            {
                tracing::error!(%error, "the revocation log can't be read");
            }
            is_failing = outcome.is_err();
        }
    }

    /// The number of the last entry that was applied.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.applied.load(Ordering::Acquire)
    }
}
