//! Counts the changes to audiences and clients. Every process compares the count to notice a change.

use rusqlite::{Connection, OptionalExtension as _};

use super::{Store, StoreError};

const VERSION: &str = "SELECT version FROM registry WHERE only_row = 1";
const CHANGED: &str = "UPDATE registry SET version = version + 1 WHERE only_row = 1";

/// The number of changes to the registry so far.
pub type Version = i64;

impl Store {
    /// The number of changes to the registry so far.
    pub fn registry_version(&self) -> Result<Version, StoreError> {
        self.database.read(|connection| {
            let version = connection.prepare_cached(VERSION)?.query_row([], |row| row.get(0)).optional()?;
            Ok(version.unwrap_or(0))
        })
    }
}

/// Counts a change, in the transaction of the change.
pub(super) fn changed(tx: &Connection) -> rusqlite::Result<()> {
    tx.prepare_cached(CHANGED)?.execute([]).map(drop)
}
