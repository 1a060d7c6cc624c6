//! The test issuer's log of revocations.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::verify::{Entry, Revocation};

/// The revocations, in order.
#[derive(Debug)]
pub(super) struct Log {
    entries: Mutex<Vec<Entry>>,
    pub(super) head: watch::Sender<usize>,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: Mutex::default(), head: watch::Sender::new(0) }
    }
}

impl Log {
    pub(super) fn push(&self, revocation: Revocation) {
        let mut entries = self.entries();
        entries.push(Entry { revocation, expires_at: None });
        self.head.send_replace(entries.len());
    }

    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn since(&self, position: usize) -> Vec<Entry> {
        self.entries().iter().skip(position).cloned().collect()
    }
}
