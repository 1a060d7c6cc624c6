//! Where the file is, and how a connection to it is set up.

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

/// Statements that each connection keeps prepared.
const PREPARED: usize = 128;

/// The file of an embedded database, written as a URL: `sqlite://data/auth.db`, or `sqlite:///var/lib/auth.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePath {
    file: PathBuf,
    #[cfg(feature = "test-util")]
    is_written_in_place: bool,
}

/// A [`DatabasePath`] that can't be read.
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
    /// The file.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.file
    }

    /// The same, with what is written written by whoever writes it, and not by a thread of its own: where time is simulated
    /// nothing may depend on when a thread gets its turn.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn written_in_place(self) -> Self {
        Self { is_written_in_place: true, ..self }
    }

    #[cfg(feature = "test-util")]
    pub(super) fn is_written_in_place(&self) -> bool {
        self.is_written_in_place
    }
}

impl From<PathBuf> for DatabasePath {
    fn from(file: PathBuf) -> Self {
        Self {
            file,
            #[cfg(feature = "test-util")]
            is_written_in_place: false,
        }
    }
}

/// What a database is opened as.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// SQLite's `application_id`: a file with another one is refused.
    pub application_id: i32,
    /// The steps that its tables come from.
    pub migrations: &'static [Migration],
}

/// Which file it is, whatever its name: the device and the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, DatabaseError> {
        let file = path.metadata()?;
        Ok(Self(file.dev(), file.ino()))
    }
}

/// Makes the file, and the directory that it is in, when they are absent: for its owner alone.
pub(super) fn create(path: &Path) -> Result<(), DatabaseError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A connection that writes, to a file that exists, its tables up to date.
pub(super) fn writer(path: &Path, schema: &Schema) -> Result<Connection, DatabaseError> {
    let mut connection = connect(path)?;
    // SQLite opens what can't be written for reading alone, and even begins and commits there, if nothing is changed.
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

/// A connection that only reads.
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

/// Tries again for about 5 s: a thousand times each millisecond, then less often, so that a machine on which a millisecond
/// takes many still answers in time. SQLite's own handler soon waits 100 ms between two tries, and then hardly ever meets
/// the moment between two commits of a process that is busy writing.
fn wait_for_lock(tries: i32) -> bool {
    const QUICK: i32 = 1_000;
    const TRIES: i32 = 1_350;
    let pause = if tries < QUICK { Duration::from_millis(1) } else { Duration::from_millis(10) };
    thread::sleep(pause);
    tries < TRIES
}

/// Switches to the write-ahead log. While two processes do it at once one may be told "busy" without having waited.
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
