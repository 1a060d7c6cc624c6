//! The path of the database file, and the setup of connections to it.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    error::DatabaseError,
    migrate::{Migration, done, migrate},
};

/// Number of prepared statements that each connection caches.
const PREPARED: usize = 128;

/// The file of an embedded database, written as a URL: `sqlite://data/auth.db` or `sqlite:///var/lib/auth.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePath {
    file: PathBuf,
    is_written_in_place: bool,
}

/// The text is not a [`DatabasePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no embedded database; write it like sqlite://data/auth.db, or sqlite:///var/lib/auth.db")]
pub struct DatabasePathError;

impl FromStr for DatabasePath {
    type Err = DatabasePathError;

    fn from_str(url: &str) -> Result<Self, DatabasePathError> {
        match url.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() && !path.ends_with('/') && !path.contains([':', '?', '#']) => {
                Ok(PathBuf::from(path).into())
            }
            _ => Err(DatabasePathError),
        }
    }
}

impl DatabasePath {
    /// The path of the file.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.file
    }

    /// Makes each caller execute its writes itself: [`Database::open`](super::Database::open) starts no writer thread. For a
    /// program that does one thing after another, such as a command, or a simulation in which no thread may run by itself.
    #[must_use]
    pub fn written_in_place(self) -> Self {
        Self { is_written_in_place: true, ..self }
    }

    pub(super) fn is_written_in_place(&self) -> bool {
        self.is_written_in_place
    }
}

impl From<PathBuf> for DatabasePath {
    fn from(file: PathBuf) -> Self {
        Self { file, is_written_in_place: false }
    }
}

/// The identity and the tables of a database.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// SQLite's `application_id`. A file with another id is refused.
    pub application_id: i32,
    /// The migrations that create the tables.
    pub migrations: &'static [Migration],
}

/// The identity of a file, independent of its name: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, DatabaseError> {
        let file = path.metadata()?;
        Ok(Self(file.dev(), file.ino()))
    }

    /// Checks that this file is the one at `path`.
    pub(super) fn check(self, path: &Path) -> Result<(), DatabaseError> {
        if Self::of(path)? == self { Ok(()) } else { Err(DatabaseError::Replaced) }
    }
}

/// Creates the file and its directory when they are absent. Only the owner can access them.
pub(super) fn create(path: &Path) -> Result<(), DatabaseError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Opens a writing connection to an existing file, and migrates its tables.
pub(super) fn writer(path: &Path, schema: &Schema) -> Result<Connection, DatabaseError> {
    let mut connection = connect(path)?;
    // SQLite silently opens a write-protected file for reading only. Even an empty transaction succeeds there. So
    // this is checked first.
    if connection.is_readonly("main")? {
        return Err(DatabaseError::ReadOnly);
    }
    done(&connection, schema.application_id, schema.migrations)?; // before anything is changed in it
    write_ahead(&connection)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = 4194304;
         PRAGMA cache_size = -1024;",
    )?;
    migrate(&mut connection, schema.application_id, schema.migrations)?;
    Ok(connection)
}

/// Opens a read-only connection.
pub(super) fn reader(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = connect(path)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -256;")?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait_for_lock))?;
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

/// Waits for a lock: a thousand tries each millisecond, then fewer, about 5 s in all. The later tries are further
/// apart, so that a machine on which a millisecond sleep takes much longer still answers in time.
///
/// SQLite's own handler soon waits 100 ms between tries. It then hardly ever hits the gap between two commits of
/// another busy process.
fn wait_for_lock(tries: i32) -> bool {
    const QUICK: i32 = 1_000;
    const TRIES: i32 = 1_350;
    let pause = if tries < QUICK { Duration::from_millis(1) } else { Duration::from_millis(10) };
    thread::sleep(pause);
    tries < TRIES
}

/// Switches to the write-ahead log. If two processes switch at once, one may get "busy" without having waited, so
/// this retries.
fn write_ahead(connection: &Connection) -> Result<(), DatabaseError> {
    let switch = || {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        mode.map_err(DatabaseError::from)
    };
    let mut mode = switch();
    for _ in 0..50 {
        if mode != Err(DatabaseError::Busy) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        mode = switch();
    }
    if mode? == "wal" { Ok(()) } else { Err(DatabaseError::ReadOnly) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_relative_or_an_absolute_file() {
        let path = |url: &str| url.parse::<DatabasePath>().map(|path| path.as_path().display().to_string());
        assert_eq!(path("sqlite://data/auth.db").unwrap(), "data/auth.db");
        assert_eq!(path("sqlite:///var/lib/auth.db").unwrap(), "/var/lib/auth.db");
        for bad in [
            "",
            "data/auth.db",
            "sqlite:",
            "sqlite://",
            "sqlite://data/",
            "sqlite://:memory:",
            "postgres://h/d",
        ] {
            assert_eq!(path(bad), Err(DatabasePathError), "{bad}");
        }
    }
}
