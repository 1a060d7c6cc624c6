//! The evidence that the database went back: that it lacks writes which were answered. A restored copy does, and so does a
//! replica that took over without the last writes.
//!
//! The evidence is stored, so that a restart doesn't lose it and every process sees it. While there is any, nothing is
//! written: what was revoked in the lost part may be alive here. Only a new log ends that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countermark::verify::LogId;
use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::domain::went_back::WentBack;

const REPORT: &str = "UPDATE revocation_log SET went_back = $1, went_back_log = $2
    WHERE only_row = 1 AND went_back IS NULL";

/// The evidence in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// The log that the evidence is about.
    log_id: LogId,
    found: Option<WentBack>,
    is_stored: bool,
}

impl Evidence {
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.held().found.clone().map_or(Ok(()), |found| Err(found.into()))
    }

    /// Takes over what is stored beside the log `log_id`.
    pub(super) fn read(&self, log_id: LogId, stored: Option<WentBack>) {
        let mut held = self.held();
        let is_other_log = held.log_id != log_id;
        held.log_id = log_id;
        if let Some(found) = stored {
            held.is_stored = true;
            held.find(found);
        } else if is_other_log && held.found.take().is_some() {
            tracing::info!("the database was recovered");
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The first evidence stays.
    fn find(&mut self, found: WentBack) {
        if self.found.is_none() {
            tracing::error!("{found}");
            self.found = Some(found);
        }
    }
}

impl Store {
    /// Records evidence. From now on this process writes nothing. [`keep_evidence`](Self::keep_evidence) stores it.
    pub fn report_went_back(&self, found: WentBack) {
        let mut held = self.evidence.held();
        if held.found.is_none() {
            held.is_stored = false;
        }
        held.find(found);
    }

    /// Stores the evidence, if there is any that is not stored yet.
    pub async fn keep_evidence(&self) -> Result<(), StoreError> {
        let found = {
            let held = self.evidence.held();
            held.found.clone().filter(|_| !held.is_stored)
        };
        let Some(found) = found else { return Ok(()) };
        let report = move |tx: &Connection| {
            let row = params![found.reason, found.log_id.map(LogId::bytes)];
            Ok::<_, StoreError>(tx.execute(REPORT, row).map(drop)?)
        };
        self.database.write(report).await?;
        self.evidence.held().is_stored = true;
        Ok(())
    }

    /// The evidence, if there is any.
    #[must_use]
    pub fn went_back(&self) -> Option<WentBack> {
        self.evidence.held().found.clone()
    }
}
