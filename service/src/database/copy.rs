//! Copies of a database: made while services write, checked, and put back.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{error::DatabaseError, migrate::done, open::Schema};

/// Copies the database at `from` into `to`, which has to be absent or empty. The copy is consistent: it holds all that was
/// committed before. Services may write meanwhile. Blocks.
pub fn copy(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute(
        "VACUUM INTO $1",
        [to.to_str().ok_or_else(|| DatabaseError::Gone("its path is not UTF-8".to_owned()))?],
    )?;
    Ok(())
}

/// The size of the database at `path`, in bytes. Its copy is about as large, or smaller.
pub fn size(path: &Path) -> Result<u64, DatabaseError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((pragma("page_count")? * pragma("page_size")?).unsigned_abs())
}

/// The number that the statement `sql` finds in the database at `path`, if it finds a row.
pub fn number(path: &Path, sql: &str) -> Result<Option<i64>, DatabaseError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?)
}

/// Checks that the file at `path` is a whole database of this program. Blocks, and reads all of it.
pub fn check(path: &Path, schema: &Schema) -> Result<(), DatabaseError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if done(&connection, schema.application_id, schema.migrations)? == 0 {
        return Err(DatabaseError::Foreign);
    }
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(DatabaseError::Corrupt(found)) }
}

/// Whether another process has the database at `path` open. Moves its write-ahead log into the file when none has.
pub fn is_in_use(path: &Path) -> Result<bool, DatabaseError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode = connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0))
        .map_err(DatabaseError::from);
    match mode {
        Ok(mode) => Ok(mode != "delete"),
        Err(DatabaseError::Busy) => Ok(true),
        Err(error) => Err(error),
    }
}
