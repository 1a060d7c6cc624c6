//! The mark file: how far the database got, outside of it. It is written after each commit and before the answers, and synced
//! each second. A power cut may cost that second.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use countermark::verify::{Kid, LogId, Tag};
use countermark_service::database::{DatabaseError, Witness};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{Store, StoreError, minted, revocations};
use crate::domain::{
    mark::{Mark, SLOT_BYTES},
    went_back::WentBack,
};

const COUNT: &str =
    "UPDATE revocation_log SET writes = writes + 1 WHERE only_row = 1 RETURNING log_id, writes";
const WRITES: &str = "SELECT writes FROM revocation_log WHERE only_row = 1";
const KIDS: &str = "SELECT kid FROM signing_keys ORDER BY kid";

/// The mark file.
#[derive(Debug)]
pub struct MarkFile {
    path: PathBuf,
    /// `None` until the file is open.
    file: Mutex<Option<File>>,
    /// The log and the count of the last commit that this process has seen.
    seen: Mutex<Option<(LogId, u64)>>,
    is_unsynced: AtomicBool,
    is_failing: AtomicBool,
}

/// The mark file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct MarkError {
    path: PathBuf,
    error: io::Error,
}

impl MarkFile {
    /// The file at `path`. It is made at the first write.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let (file, seen) = (Mutex::default(), Mutex::default());
        Self { path, file, seen, is_unsynced: false.into(), is_failing: false.into() }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last write failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// The newest mark in the file. `None` when the file is absent or holds none.
    pub fn read(&self) -> Result<Option<Mark>, MarkError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Mark::newest(&bytes).map(|(_, mark)| mark)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(MarkError { path: self.path.clone(), error }),
        }
    }

    /// Syncs what was written. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        if !self.is_unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(File::try_clone);
        file.transpose()?.map_or(Ok(()), |file| file.sync_data())
    }

    /// Writes `mark`, unless the file has a later one. `is_former` says whether a log was given up for the present one.
    fn write(&self, mark: &Mark, is_former: impl Fn(LogId) -> bool) -> io::Result<()> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was removed or moved away is no mark any more.
        let file = match &mut *held {
            Some(file) if is_at(file, &self.path) => file,
            other => other.insert(open(&self.path)?),
        };
        file.lock()?;
        let written = advance(file, mark, is_former);
        file.unlock()?;
        if written? {
            self.is_unsynced.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn wrote(&self, written: io::Result<()>) {
        if let Err(error) = written {
            // The next write opens it anew.
            *self.file.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if !self.is_failing.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, mark.path = %self.path.display(), "the mark can't be written: a database that goes back may not be noticed");
            }
        } else if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!(mark.path = %self.path.display(), "the mark is written again");
        }
    }
}

/// Whether `file` is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |file: &Metadata| (file.dev(), file.ino());
    let (held, there) = (file.metadata(), path.metadata());
    held.is_ok_and(|held| there.is_ok_and(|there| identity(&held) == identity(&there)))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let there = options.open(path);
    if there.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        // A link that leads nowhere is no place for a new file: whoever made it would choose the place.
        return match options.create_new(true).open(path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().read(true).write(true).open(path)
            }
            made => made,
        };
    }
    there
}

/// Writes the slot of the next turn. `false` when the file has a later mark.
fn advance(file: &File, mark: &Mark, is_former: impl Fn(LogId) -> bool) -> io::Result<bool> {
    let mut bytes = vec![0; 2 * SLOT_BYTES];
    let length = file.read_at(&mut bytes, 0)?;
    let found = Mark::newest(&bytes[..length]);
    let turn = found.as_ref().map_or(0, |(turn, _)| *turn) + 1;
    if let Some((_, there)) = &found {
        let (old, new) = (there.position.log_id, mark.position.log_id);
        let is_later = if old == new { there.writes >= mark.writes } else { !is_former(old) };
        if is_later {
            return Ok(false);
        }
    }
    let offset = if turn.is_multiple_of(2) { 0 } else { SLOT_BYTES as u64 };
    file.write_all_at(&mark.encode(turn), offset)?;
    Ok(true)
}

impl Witness for MarkFile {
    fn before_commit(&self, connection: &Connection) -> Result<(), DatabaseError> {
        let counted = connection
            .prepare_cached(COUNT)?
            .query_row([], |row| Ok((LogId::new(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs())));
        // The database that this process has written to never counts back. If it has, an older copy was put in its place
        // within the same file, and its next writes could hide what it lacks.
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (counted.optional()?, seen) {
            (Some((log_id, writes)), Some((log, seen))) if log_id == log && writes <= seen => {
                Err(DatabaseError::Replaced)
            }
            _ => Ok(()),
        }
    }

    fn after_commit(&self, connection: &Connection) {
        let written = match mark(connection) {
            Ok(None) => Ok(()),
            Ok(Some(mark)) => {
                let seen = Some((mark.position.log_id, mark.writes));
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
                self.write(&mark, |log_id| revocations::is_former(connection, log_id).unwrap_or(false))
            }
            Err(error) => Err(io::Error::other(error)),
        };
        self.wrote(written);
    }
}

/// How far the database got. `None` before there is a log.
fn mark(connection: &Connection) -> Result<Option<Mark>, StoreError> {
    let Some(position) = revocations::position(connection)? else { return Ok(None) };
    let writes: i64 = connection.prepare_cached(WRITES)?.query_row([], |row| row.get(0))?;
    let mut kids = connection.prepare_cached(KIDS)?;
    let kid = |row: &Row<'_>| row.get::<_, String>(0);
    let kids = kids
        .query_map([], kid)?
        .map(|kid| kid?.parse::<Kid>().map_err(|_| StoreError::Damaged("a key's name")));
    Ok(Some(Mark {
        position,
        writes: writes.unsigned_abs(),
        minted_up_to: minted::up_to(connection)?,
        kids: kids.collect::<Result<_, _>>()?,
    }))
}

impl Store {
    /// The mark file, if there is one.
    #[must_use]
    pub fn mark_file(&self) -> Option<&Arc<MarkFile>> {
        self.mark.as_ref()
    }

    /// The number of write transactions.
    pub fn writes(&self) -> Result<u64, StoreError> {
        self.database.read(|connection| {
            let writes = connection.prepare_cached(WRITES)?.query_row([], |row| row.get::<_, i64>(0));
            Ok(writes.optional()?.unwrap_or(0).unsigned_abs())
        })
    }

    /// Compares the database with its mark. Evidence, when the database is behind.
    pub fn compare_with_mark(&self) -> Result<Option<WentBack>, StoreError> {
        let found = self.mark_file().map(|mark| mark.read()).transpose();
        let Ok(Some(Some(mark))) = found else { return Ok(None) };
        self.database.read(|connection| behind(connection, &mark))
    }
}

/// How the database is behind that mark, if it is.
pub(super) fn behind(connection: &Connection, mark: &Mark) -> Result<Option<WentBack>, StoreError> {
    let Some(position) = revocations::position(connection)? else {
        let reason = "it is empty, and its mark is not".to_owned();
        return Ok(Some(WentBack { reason, log_id: Some(mark.position.log_id) }));
    };
    if position.log_id != mark.position.log_id {
        let reason = "its mark is of a log that it doesn't know".to_owned();
        let lost = WentBack { reason, log_id: Some(mark.position.log_id) };
        return Ok((!revocations::is_former(connection, mark.position.log_id)?).then_some(lost));
    }
    let writes: i64 =
        connection.prepare_cached(WRITES)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0);
    let here = revocations::tag_at(connection, mark.position.seq)?;
    let is_other = position.seq < mark.position.seq || here != Tag::UNKNOWN && here != mark.position.tag;
    if is_other || writes.unsigned_abs() < mark.writes {
        let (seq, marked) = (mark.position.seq, mark.writes);
        let reason =
            format!("its mark has entry {seq} and {marked} writes, and it has {} and {writes}", position.seq);
        return Ok(Some(WentBack { reason, log_id: None }));
    }
    Ok(None)
}
