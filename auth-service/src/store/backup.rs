//! Backups: a copy of the database is made while the service runs, and put back while it does not.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use countermark::clock::Timestamp;
use countermark_service::database::{DatabaseError, copy};

use countermark::verify::Seq;

use super::SCHEMA;

/// A backup was not made, or not put back. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database fails.
    #[error("{path}: {error}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: DatabaseError,
    },
    /// A file can't be made or moved.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The file that would be made is there.
    #[error("{} is there already; name another path", .0.display())]
    Exists(PathBuf),
    /// There is no such database.
    #[error("{} is not there", .0.display())]
    Absent(PathBuf),
    /// The database would be replaced.
    #[error("{} is there already; --force moves it aside", .0.display())]
    WouldReplace(PathBuf),
    /// A process has the database open.
    #[error("{} is in use; stop the service first", .0.display())]
    InUse(PathBuf),
}

/// A backup that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its size.
    pub bytes: u64,
    /// The number of the last entry of its revocation log.
    pub head: Seq,
}

/// The suffixes of the files that belong to a database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The size of the database at `path`, in bytes, for the display of progress.
pub fn size(path: &Path) -> Result<u64, BackupError> {
    existing(path)?;
    copy::size(path).map_err(|error| BackupError::Database { path: path.to_owned(), error })
}

/// Where the copy grows until it is whole.
#[must_use]
pub fn draft(to: &Path) -> PathBuf {
    with_suffix(to, ".part")
}

/// Copies the database at `from` into the new file `to`: consistent, checked, and synced. Services may write meanwhile. Blocks.
pub fn back_up(from: &Path, to: &Path) -> Result<Backup, BackupError> {
    existing(from)?;
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let draft = draft(to);
    create(&draft)?;
    let made = fill(from, &draft).and_then(|()| {
        // A hard link fails when somebody made the file meanwhile; a rename would replace it.
        fs::hard_link(&draft, to).map_err(|error| BackupError::File { path: to.to_owned(), error })
    });
    // The first error matters, not this one.
    drop(fs::remove_file(&draft));
    made?;
    sync_folder(to)?;
    let failed = |error| BackupError::Database { path: to.to_owned(), error };
    let head = copy::number(to, "SELECT head FROM revocation_log").map_err(failed)?;
    let file = fs::metadata(to).map_err(|error| BackupError::File { path: to.to_owned(), error })?;
    Ok(Backup { bytes: file.len(), head: Seq::new(head.unwrap_or(0).unsigned_abs()) })
}

/// Copies the backup at `copy` beside `database`, to be recovered there. Returns its path. Blocks.
pub fn prepare(copy: &Path, database: &Path, force: bool) -> Result<PathBuf, BackupError> {
    existing(copy)?;
    if database.exists() {
        if !force {
            return Err(BackupError::WouldReplace(database.to_owned()));
        }
    } else if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| BackupError::File { path: folder.to_owned(), error })?;
    }
    let draft = with_suffix(database, ".restored");
    // One that was left by a restore that was killed is of no use.
    discard(&draft);
    create(&draft)?;
    fill(copy, &draft).inspect_err(|_| discard(&draft))?;
    Ok(draft)
}

/// Removes a draft, and what belongs to it.
pub fn discard(draft: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        // Most of these are absent.
        drop(fs::remove_file(with_suffix(draft, suffix)));
    }
}

/// Puts `draft`, which no process has open, in the place of `database`. Returns where the database before was moved to, if
/// there was one.
pub fn put_in_place(draft: &Path, database: &Path, now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    let failed = |error| BackupError::Database { path: draft.to_owned(), error };
    // The file alone has to be the whole database.
    if copy::is_in_use(draft).map_err(failed)? {
        return Err(BackupError::InUse(draft.to_owned()));
    }
    if database.exists() {
        is_unused(database)?;
    }
    let aside = with_suffix(database, &format!(".before-{}", now.unix_seconds()));
    // A log that is left behind by a database that is gone would be taken for one of the new file.
    for companion in COMPANIONS {
        let left = with_suffix(database, companion);
        if left.exists() {
            rename(&left, &with_suffix(&aside, companion))?;
        }
    }
    let was_there = database.exists();
    if was_there {
        rename(database, &aside)?;
    }
    rename(draft, database)?;
    sync_folder(database)?;
    Ok(was_there.then_some(aside))
}

/// A file that is no database is used by no process, and is moved aside as it is.
fn is_unused(database: &Path) -> Result<(), BackupError> {
    if copy::is_in_use(database).unwrap_or(false) {
        Err(BackupError::InUse(database.to_owned()))
    } else {
        Ok(())
    }
}

fn existing(path: &Path) -> Result<(), BackupError> {
    if path.is_file() { Ok(()) } else { Err(BackupError::Absent(path.to_owned())) }
}

/// Fills the empty file `to`, and checks what is in it.
fn fill(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |path: &Path, error| BackupError::Database { path: path.to_owned(), error };
    copy::check(from, &SCHEMA).map_err(|error| failed(from, error))?;
    copy::copy(from, to).map_err(|error| failed(to, error))?;
    copy::check(to, &SCHEMA).map_err(|error| failed(to, error))?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| BackupError::File { path: to.to_owned(), error })
}

fn create(path: &Path) -> Result<(), BackupError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => BackupError::File { path: path.to_owned(), error },
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(|error| BackupError::File { path: to.to_owned(), error })
}

fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| BackupError::File { path: folder.to_owned(), error })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
