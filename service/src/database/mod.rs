//! The embedded database engine: SQLite in one file. One writer commits in groups; reads run on the caller's thread.
//! Each service defines its own tables and statements.
//!
//! A write is answered only after it is durable (write-ahead log, `synchronous = FULL`). Several processes may use
//! one file.
//!
//! A database that is locked, full, read-only or absent returns an error, and works again by itself when the cause is
//! gone. A file that disappears while the service runs is never created anew, because it would look like an empty
//! database.

pub mod copy;
mod error;
mod job;
mod migrate;
mod open;
mod queue;
mod read;
mod reserve;
mod witness;
mod writer;

use std::{
    fmt, fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

pub use rusqlite;
use rusqlite::Connection;

pub use self::{
    error::DatabaseError,
    migrate::Migration,
    open::{DatabasePath, DatabasePathError, Schema},
    witness::Witness,
};
use self::{
    open::Identity,
    queue::Queue,
    read::Readers,
    reserve::Reserve,
    writer::{LastCommit, Writer},
};

/// A handle to an open database. Clones share it. Dropping the last handle waits for pending writes, and closes the
/// file after a checkpoint of the log.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: DatabasePath,
    identity: Identity,
    readers: Arc<Readers>,
    last: Arc<LastCommit>,
    queue: Arc<Queue>,
    writer: WriterPlace,
}

/// Where the one writer runs.
enum WriterPlace {
    /// On a thread of its own. The handle is taken when the database closes.
    Thread(Option<JoinHandle<()>>),
    /// On the thread of each caller: see [`DatabasePath::written_in_place`].
    Caller(Mutex<Writer>),
}

impl Database {
    /// Opens the file at `path`, and migrates its tables. Creates the file with mode 0600 when it is absent. Blocks.
    ///
    /// # Errors
    /// [`DatabaseError`] when the file can't be opened, belongs to another program, or has a newer schema.
    pub fn open(path: DatabasePath, schema: Schema) -> Result<Self, DatabaseError> {
        Self::open_witnessed(path, schema, None)
    }

    /// As [`open`](Self::open), with a witness of each commit.
    pub fn open_witnessed(
        path: DatabasePath,
        schema: Schema,
        witness: Option<Arc<dyn Witness>>,
    ) -> Result<Self, DatabaseError> {
        open::create(path.as_path())?;
        let file = path.as_path().to_owned();
        let reserve = Reserve::of(&file);
        // A service has a reserve. It isn't for a command that runs once.
        if !path.is_written_in_place() {
            reserve.give_up_if_needed();
        }
        let connection = open::writer(&file, &schema)?;
        let identity = Identity::of(&file)?;
        let readers = Arc::new(Readers::new(file.clone()));
        let last = Arc::new(LastCommit::default());
        let queue = Arc::new(Queue::default());
        let writer = Writer {
            path: file,
            schema,
            readers: Arc::clone(&readers),
            last: Arc::clone(&last),
            identity,
            connection: Some(connection),
            witness,
            lacks_reserve: !path.is_written_in_place() && !reserve.keep(),
        };
        let writer = if path.is_written_in_place() {
            WriterPlace::Caller(Mutex::new(writer))
        } else {
            let waiting = Arc::clone(&queue);
            let thread = thread::Builder::new().name("database".to_owned());
            WriterPlace::Thread(Some(thread.spawn(move || writer.run(&waiting))?))
        };
        Ok(Self(Arc::new(Inner { path, identity, readers, last, queue, writer })))
    }

    /// Runs `f` in a transaction, and returns its result when the transaction is durable. If `f` returns an error,
    /// its changes are undone.
    ///
    /// Other writes may share the transaction. If the caller stops waiting, the write still happens.
    ///
    /// # Errors
    /// The error of `f`, or a [`DatabaseError`]. [`DatabaseError::Busy`] at once when too many writes wait.
    pub async fn write<T, E>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (job, result) = job::job(f);
        let waiting = self.0.queue.push(job)?;
        tokio::task::yield_now().await;
        drop(waiting);
        self.0.write_in_place();
        result.await.unwrap_or_else(|_| Err(DatabaseError::Gone("its thread has ended".to_owned()).into()))
    }

    /// Runs `f` on a read-only connection, on the caller's thread. Each statement sees all commits before it. If
    /// several statements must see the same state, `f` opens a transaction.
    ///
    /// # Errors
    /// The error of `f`, or a [`DatabaseError`] when no connection can be opened.
    pub fn read<T, E: From<DatabaseError>>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.0.readers.read(f)
    }

    /// Checks that the database is readable, that the file is still at its path, and that the last commit succeeded.
    /// After a failed commit it starts a small write in the background, so that health recovers without traffic.
    pub fn health(&self) -> Result<(), DatabaseError> {
        if let Some(trouble) = self.0.last.trouble() {
            // If the queue is full, the waiting writes serve the same purpose.
            let _ = self.0.queue.push(job::job(rewrite_version).0);
            return Err(trouble);
        }
        self.0.identity.check(self.path())?;
        self.read(|connection| version(connection).map(drop))
    }

    /// Checks that no other file has taken the place of the one that was opened. A file that is gone is no other file.
    pub fn check_place(&self) -> Result<(), DatabaseError> {
        match self.0.identity.check(self.path()) {
            Err(DatabaseError::Replaced) => Err(DatabaseError::Replaced),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Its size and its work so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let mut log = self.path().as_os_str().to_owned();
        log.push("-wal");
        let (commits, failed) = self.0.last.counts();
        Figures { bytes: bytes(self.path()), log_bytes: bytes(Path::new(&log)), commits, failed }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path.as_path()
    }
}

/// The size of a database and its work since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The size of its write-ahead log, in bytes.
    pub log_bytes: u64,
    /// How many commits succeeded. A commit holds one or more writes.
    pub commits: u64,
    /// How many commits failed.
    pub failed: u64,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.path()).finish()
    }
}

impl Inner {
    /// Executes the waiting writes, when there is no writer thread.
    fn write_in_place(&self) {
        let WriterPlace::Caller(writer) = &self.writer else { return };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let group = self.queue.take();
            if group.is_empty() {
                return;
            }
            writer.write(group);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        self.write_in_place();
        self.readers.renew();
        let WriterPlace::Thread(thread) = &mut self.writer else { return };
        // A write may hold the last handle. Then this runs on the writer thread, which can't wait for itself.
        if let Some(thread) = thread.take().filter(|own| own.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

fn version(connection: &Connection) -> Result<i64, DatabaseError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The smallest write that reaches the disk.
fn rewrite_version(connection: &Connection) -> Result<(), DatabaseError> {
    let version = version(connection)?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        path::PathBuf,
        task::{Context, Waker},
    };

    use tempfile::TempDir;

    use super::*;

    const FIRST: Migration =
        Migration { name: "things", sql: "CREATE TABLE thing (id INTEGER PRIMARY KEY, n INTEGER) STRICT" };
    const SECOND: Migration = Migration { name: "a thing", sql: "INSERT INTO thing (id, n) VALUES (0, 0)" };
    const OURS: Schema = Schema { application_id: 0x5465_7374, migrations: &[FIRST, SECOND] };

    fn place() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/test.db");
        (directory, path)
    }

    fn open(path: &Path) -> Result<Database, DatabaseError> {
        Database::open(path.to_owned().into(), OURS)
    }

    fn insert(n: i64) -> impl FnOnce(&Connection) -> Result<i64, DatabaseError> {
        move |connection| {
            connection.execute("INSERT INTO thing (n) VALUES (?1)", [n])?;
            Ok(n)
        }
    }

    fn count(database: &Database) -> i64 {
        let count = |connection: &Connection| {
            Ok::<_, DatabaseError>(connection.query_row("SELECT count(*) FROM thing", [], |row| row.get(0))?)
        };
        database.read(count).unwrap()
    }

    #[tokio::test]
    async fn migrations_run_once_and_the_file_is_for_its_owner() {
        let (_kept, path) = place();
        let database = open(&path).unwrap();
        assert_eq!(database.write(insert(1)).await, Ok(1));
        drop(database);
        assert!(!path.with_extension("db-wal").exists(), "the log is folded in");
        assert_eq!(count(&open(&path).unwrap()), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn many_openers_at_once_migrate_once() {
        let (_kept, path) = place();
        let opened: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&path))).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        for database in opened {
            assert_eq!(count(&database.unwrap()), 1);
        }
    }

    #[test]
    fn a_newer_schema_and_a_foreign_file_are_refused() {
        let (_kept, path) = place();
        drop(open(&path).unwrap());
        let older = Schema { migrations: &[FIRST], ..OURS };
        let error = Database::open(path.clone().into(), older).unwrap_err();
        assert_eq!(error, DatabaseError::NewerSchema { found: 2, known: 1 });
        let other = Schema { application_id: 7, ..OURS };
        assert_eq!(Database::open(path.clone().into(), other).unwrap_err(), DatabaseError::Foreign);
        fs::write(&path, "no database, but long enough to be taken for one".repeat(100)).unwrap();
        assert_eq!(open(&path).unwrap_err(), DatabaseError::Foreign);
    }

    #[tokio::test]
    async fn an_error_or_a_panic_leaves_its_neighbours() {
        let (_kept, path) = place();
        let database = open(&path).unwrap();
        let fails = database.write(|connection| {
            insert(2)(connection)?;
            Err::<(), _>(DatabaseError::Constraint("ours".to_owned()))
        });
        let panics = database.write(|connection| {
            insert(3)(connection)?;
            panic!("as it should")
        });
        let panics = async { panics.await as Result<(), DatabaseError> };
        let (before, failed, panicked, after) =
            tokio::join!(database.write(insert(1)), fails, panics, database.write(insert(4)));
        assert_eq!((before, after), (Ok(1), Ok(4)));
        assert_eq!(failed, Err(DatabaseError::Constraint("ours".to_owned())));
        assert_eq!(panicked, Err(DatabaseError::Other("a write panicked".to_owned())));
        assert_eq!(count(&database), 3);
        assert_eq!(database.health(), Ok(()));
    }

    #[tokio::test]
    async fn two_processes_worth_of_handles_write_to_one_file() {
        let (_kept, path) = place();
        let (one, two) = (open(&path).unwrap(), open(&path).unwrap());
        let writes = |database: Database| async move {
            for n in 0..50 {
                database.write(insert(n)).await.unwrap();
            }
        };
        tokio::join!(writes(one.clone()), writes(two.clone()));
        assert_eq!((count(&one), count(&two)), (101, 101));
    }

    #[tokio::test]
    async fn of_many_rotations_of_one_generation_one_wins() {
        let (_kept, path) = place();
        let database = open(&path).unwrap();
        let rotate = |connection: &Connection| {
            let mut rotate =
                connection.prepare_cached("UPDATE thing SET n = n + 1 WHERE id = 0 AND n = 0")?;
            Ok::<_, DatabaseError>(rotate.execute([])?)
        };
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move { database.write(rotate).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += task.await.unwrap();
        }
        assert_eq!(won, 1);
    }

    #[tokio::test]
    async fn a_write_goes_on_when_its_caller_has_gone() {
        let (_kept, path) = place();
        let database = open(&path).unwrap();
        let mut write = Box::pin(database.write(insert(1)));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(write);
        while count(&database) < 2 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn writes_in_place_share_a_commit_and_survive_a_caller_that_has_gone() {
        let (_kept, path) = place();
        let in_place = DatabasePath::from(path.clone()).written_in_place();
        let database = Database::open(in_place, OURS).unwrap();
        assert_eq!(tokio::join!(database.write(insert(1)), database.write(insert(2))), (Ok(1), Ok(2)));
        assert_eq!(count(&database), 3);
        let mut write = Box::pin(database.write(insert(3)));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(write);
        drop(database);
        assert_eq!(count(&open(&path).unwrap()), 4);
    }

    #[tokio::test]
    async fn a_file_that_vanishes_is_gone_until_it_is_back() {
        let (kept, path) = place();
        let database = open(&path).unwrap();
        let (here, there) = (kept.path().join("data"), kept.path().join("elsewhere"));
        fs::rename(&here, &there).unwrap();
        let error = database.write(insert(1)).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Gone(_)) && error.is_temporary(), "{error}");
        assert_eq!(database.health(), Err(error));
        fs::rename(&there, &here).unwrap();
        while database.health().is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(database.write(insert(2)).await, Ok(2));
        assert_eq!(count(&database), 2);
    }

    #[tokio::test]
    async fn another_file_in_its_place_is_neither_read_nor_written() {
        let (kept, path) = place();
        let database = open(&path).unwrap();
        assert_eq!(database.write(insert(1)).await, Ok(1));
        let copy = kept.path().join("copy.db");
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
        assert_eq!(database.write(insert(2)).await, Err(DatabaseError::Replaced));
        assert_eq!(database.health(), Err(DatabaseError::Replaced));
        assert_eq!(database.check_place(), Err(DatabaseError::Replaced));
        assert!(DatabaseError::Replaced.is_temporary());
    }

    #[test]
    fn a_place_that_takes_no_file_is_a_temporary_error() {
        let error = open(Path::new("/proc/nowhere/test.db")).unwrap_err();
        assert!(matches!(error, DatabaseError::Gone(_)) && error.is_temporary(), "{error}");
    }

    #[test]
    fn a_read_cannot_write() {
        let (_kept, path) = place();
        let error = open(&path).unwrap().read(insert(1)).unwrap_err();
        assert_eq!(error, DatabaseError::ReadOnly);
    }

    #[test]
    fn a_violated_constraint_is_an_error_of_its_own() {
        let (_kept, path) = place();
        let database = open(&path).unwrap();
        let twice = |connection: &Connection| {
            connection.execute("INSERT INTO thing (id) VALUES (0)", [])?;
            Ok::<_, DatabaseError>(())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let error = runtime.block_on(database.write(twice)).unwrap_err();
        assert!(matches!(error, DatabaseError::Constraint(_)) && !error.is_temporary(), "{error}");
    }
}
