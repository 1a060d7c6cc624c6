//! A witness sees each commit of the one writer.

use std::fmt;

use rusqlite::Connection;

use super::error::DatabaseError;

/// Sees each commit of the one writer. It may keep, outside the database, how far the database got.
pub trait Witness: fmt::Debug + Send + Sync {
    /// Runs in each transaction, last.
    ///
    /// # Errors
    /// The transaction is rolled back.
    fn before_commit(&self, connection: &Connection) -> Result<(), DatabaseError>;

    /// Runs after each commit, before its callers are answered.
    fn after_commit(&self, connection: &Connection);
}
