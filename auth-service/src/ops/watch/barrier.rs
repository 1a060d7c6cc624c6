//! The barrier: waits until a revocation holds at every verifier that watches, and says at which it may not.

use std::time::Duration;

use countermark::verify::Seq;

use crate::ops::{AuthService, Error};
use crate::{domain::watcher::Watcher, store::revocations::LogEntry};

/// How long it waits at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks, at those who watch elsewhere, too.
const LOOK: Duration = Duration::from_millis(10);

/// What has to have reached every verifier: the revocation log up to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked(Seq);

/// How far a revocation has got.
#[derive(Debug)]
pub struct Confirmation {
    /// Those at which it may not hold yet.
    pub unconfirmed: Vec<Watcher>,
}

impl Confirmation {
    /// Whether it holds everywhere.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unconfirmed.is_empty()
    }
}

impl AuthService {
    /// Waits until each watcher honours what was revoked: it has acknowledged it, or has been silent for so long that it
    /// refuses whatever it can't ask about. Those that don't within 5 s are named.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails: it may hold everywhere, or not.
    pub async fn confirm(&self, Revoked(seq): Revoked) -> Result<Confirmation, Error> {
        let until = self.clock.monotonic().saturating_add(PATIENCE);
        loop {
            let unconfirmed: Vec<_> =
                self.watchers()?.into_iter().filter(|watcher| !watcher.honours(seq)).collect();
            if unconfirmed.is_empty() || self.clock.monotonic() >= until {
                return Ok(Confirmation { unconfirmed });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// All that was revoked until now: for what was over already, whoever ended it.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn revoked_so_far(&self) -> Result<Revoked, Error> {
        self.feed.catch_up()?;
        Ok(Revoked(self.feed.head().seq))
    }

    /// Applies what was just written to the log.
    ///
    /// # Errors
    /// [`Error::Store`] when nothing was written, and what was before can't be read.
    pub(in crate::ops) fn applied(&self, entries: &[LogEntry]) -> Result<Revoked, Error> {
        self.feed.apply(entries);
        entries.last().map_or_else(|| self.revoked_so_far(), |last| Ok(Revoked(last.seq)))
    }
}
