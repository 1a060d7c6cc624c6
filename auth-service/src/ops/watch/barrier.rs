//! The barrier: waits until a revocation holds at every verifier that watches, and names those at which it may not hold.

use std::time::Duration;

use countermark::verify::Seq;

use super::Watch;
use crate::{
    domain::watcher::Watcher,
    ops::{Context, Fault},
    store::{StoreError, revocations::LogEntry},
};

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// The poll interval, which other processes' watchers are read at, too.
const LOOK: Duration = Duration::from_millis(10);

/// A revocation that was logged: the log up to its entry has to reach every verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked(Seq);

/// How far a revocation has got.
#[derive(Debug)]
pub struct Confirmation {
    /// The watchers at which it may not hold yet.
    pub unconfirmed: Vec<Watcher>,
}

impl Confirmation {
    /// Whether the revocation holds at every watcher.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unconfirmed.is_empty()
    }
}

impl Watch {
    /// Waits until each watcher honours the revocation: it has acknowledged the entry, or it has been silent for so long
    /// that it refuses each token that it can't ask about. After 5 s the other watchers are named.
    ///
    /// # Errors
    /// [`Fault::Store`] when the database fails. Then it is not known where the revocation holds.
    pub async fn confirm(&self, Revoked(seq): Revoked) -> Result<Confirmation, Fault> {
        let clock = &self.context.clock;
        let until = clock.monotonic().saturating_add(PATIENCE);
        loop {
            let unconfirmed: Vec<_> =
                self.watchers()?.into_iter().filter(|watcher| !watcher.honours(seq)).collect();
            if unconfirmed.is_empty() || clock.monotonic() >= until {
                return Ok(Confirmation { unconfirmed });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// All that was revoked until now. It stands for a revocation that another request has made.
    pub fn revoked_so_far(&self) -> Result<Revoked, Fault> {
        Ok(self.context.revoked_so_far()?)
    }
}

impl Context {
    /// Applies the entries that were just written to the log. Without any, a request that hung up may have written them:
    /// then the log is read.
    pub(in crate::ops) fn applied(&self, entries: &[LogEntry]) -> Result<Revoked, StoreError> {
        self.feed.apply(entries);
        entries.last().map_or_else(|| self.revoked_so_far(), |last| Ok(Revoked(last.seq)))
    }

    pub(in crate::ops) fn revoked_so_far(&self) -> Result<Revoked, StoreError> {
        self.feed.catch_up()?;
        Ok(Revoked(self.feed.head().seq))
    }
}
