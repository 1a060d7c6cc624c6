//! The registered audiences and clients, all at once; and the count of changes by which every process notices one.

use rusqlite::{Connection, OptionalExtension as _};

use super::{Store, StoreError, audiences, clients};
use crate::domain::registry::Registry;

const VERSION: &str = "SELECT version FROM registry WHERE only_row = 1";
const CHANGED: &str = "UPDATE registry SET version = version + 1 WHERE only_row = 1";

/// How often the registry was changed.
pub type Version = i64;

impl Store {
    /// How often the registry was changed.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn registry_version(&self) -> Result<Version, StoreError> {
        self.database.read(|connection| {
            let version = connection.prepare_cached(VERSION)?.query_row([], |row| row.get(0)).optional()?;
            Ok(version.unwrap_or(0))
        })
    }

    /// All of it.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn registry(&self) -> Result<Registry, StoreError> {
        self.database
            .read(|connection| Ok(Registry::new(audiences::all(connection)?, clients::all(connection)?)))
    }
}

/// Counts a change, in its transaction.
pub(super) fn changed(tx: &Connection) -> rusqlite::Result<()> {
    tx.prepare_cached(CHANGED)?.execute([]).map(drop)
}
