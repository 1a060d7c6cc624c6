//! The errors of the database, distinguished as far as callers act on them.

use rusqlite::{Error, ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};

/// A database operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Another process holds the lock, or too many writes wait.
    #[error("the database is busy")]
    Busy,
    /// The disk is full.
    #[error("the database's disk is full; free some space on it")]
    Full,
    /// The file can't be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// The file can't be accessed: it is absent, unreadable, or the disk fails.
    #[error("the database is gone: {0}")]
    Gone(String),
    /// Another file is at the path of the one that was opened. It may lack writes that were answered. So this process doesn't use
    /// it: a start checks it first.
    #[error("another file took the database's place; restart the service to use it")]
    Replaced,
    /// The file is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A newer version of this program has migrated the tables.
    #[error(
        "the database has schema {found}, and this program knows {known} at most; run a newer version of it"
    )]
    NewerSchema {
        /// The version in the file.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },
    /// The file belongs to another program.
    #[error("the file is not this program's database")]
    Foreign,
    /// A row violates a constraint. The message says which.
    #[error("a constraint is broken: {0}")]
    Constraint(String),
    /// A defect in this program: a wrong statement, or a panic.
    #[error("the database failed: {0}")]
    Other(String),
}

impl DatabaseError {
    /// `true` when the same operation may succeed later without a change to this program. Interfaces answer it with
    /// 503.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy | Self::Full | Self::ReadOnly | Self::Gone(_) | Self::Replaced | Self::Corrupt(_) => {
                true
            }
            Self::NewerSchema { .. } | Self::Foreign | Self::Constraint(_) | Self::Other(_) => false,
        }
    }
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        // On a full disk the shared memory beside the database can't grow: a start needs it.
        let extended = error.sqlite_error().map(|error| error.extended_code);
        if extended == Some(SQLITE_IOERR_SHMSIZE) {
            return Self::Full;
        }
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Gone(error.to_string())
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt(error.to_string()),
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            Some(ErrorCode::ConstraintViolation) => Self::Constraint(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<std::io::Error> for DatabaseError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Gone(error.to_string()),
        }
    }
}
