//! One thread owns the only writing connection, and commits all queued writes together. It adds no delay to make a
//! group larger.

use std::{
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    error::DatabaseError,
    open::{self, Identity, Schema},
    queue::Queue,
    read::Readers,
};

/// A queued write, with any result type.
pub(super) trait Job: Send {
    /// Runs the write in a savepoint. An error means that the whole transaction failed.
    fn run(&mut self, connection: &Connection) -> Result<(), DatabaseError>;

    /// Sends the result to the caller, after the commit of the group.
    fn answer(self: Box<Self>, committed: &Result<(), DatabaseError>);
}

/// A write, and the channel to its caller.
struct Write<F, T, E> {
    f: Option<F>,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

/// Makes a job of a write. Returns it with the receiver of its result.
pub(super) fn job<T, E, F>(f: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DatabaseError> + Send + 'static,
{
    let (caller, result) = oneshot::channel();
    (Box::new(Write { f: Some(f), result: None, caller }), result)
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<DatabaseError> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), DatabaseError> {
        let Some(f) = self.f.take() else { return Ok(()) };
        execute(connection, "SAVEPOINT job")?;
        let result = panic::catch_unwind(AssertUnwindSafe(|| f(connection)))
            .unwrap_or_else(|_| Err(DatabaseError::Other("a write panicked".to_owned()).into()));
        if connection.is_autocommit() {
            return Err(DatabaseError::Gone("a failed write took its transaction with it".to_owned()));
        }
        if result.is_err() {
            execute(connection, "ROLLBACK TO job")?;
        }
        self.result = Some(result);
        execute(connection, "RELEASE job")
    }

    fn answer(self: Box<Self>, committed: &Result<(), DatabaseError>) {
        let lost = || Err(DatabaseError::Other("a write was not run".to_owned()).into());
        let result = match committed {
            Ok(()) => self.result.unwrap_or_else(lost),
            Err(error) => Err(error.clone().into()),
        };
        // Sending fails if the caller no longer waits.
        let _ = self.caller.send(result);
    }
}

/// The result of the last commit, shared with readers.
#[derive(Debug, Default)]
pub(super) struct LastCommit(Mutex<Option<DatabaseError>>);

impl LastCommit {
    /// The error of the last commit, if it failed.
    pub(super) fn trouble(&self) -> Option<DatabaseError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores the result, and logs it when it differs from the previous one.
    fn set(&self, committed: &Result<(), DatabaseError>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (committed, last.as_ref()) {
            (Err(error), before) if before != Some(error) => tracing::error!(%error, "a commit failed"),
            (Ok(()), Some(_)) => tracing::info!("commits succeed again"),
            (Ok(()) | Err(_), _) => {}
        }
        *last = committed.as_ref().err().cloned();
    }
}

/// Empties the queue when the thread ends for any reason, so that no caller waits forever.
struct Ended<'a>(&'a Queue);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) schema: Schema,
    pub(super) readers: Arc<Readers>,
    pub(super) last: Arc<LastCommit>,
    pub(super) connection: Option<(Identity, Connection)>,
}

impl Writer {
    /// Executes writes until the queue is closed and empty.
    pub(super) fn run(mut self, queue: &Queue) {
        let _ended = Ended(queue);
        loop {
            let group = queue.next();
            if group.is_empty() {
                return;
            }
            self.write(group);
        }
    }

    /// Commits one group, and answers its callers.
    pub(super) fn write(&mut self, mut group: Vec<Box<dyn Job>>) {
        let committed = self.commit(&mut group);
        self.last.set(&committed);
        for job in group {
            job.answer(&committed);
        }
    }

    /// Commits one group in one transaction. After a failure other than "busy", the connection is reopened.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
        let committed = self.connection().and_then(|connection| transact(connection, group));
        if let Err(error) = &committed
            && *error != DatabaseError::Busy
        {
            self.connection = None;
        }
        committed
    }

    /// The connection, reopened if the file at our path is another one. Writes to a file that was moved away would be
    /// lost.
    fn connection(&mut self) -> Result<&Connection, DatabaseError> {
        let there = Identity::of(&self.path)?;
        let open = self.connection.take().filter(|open| open.0 == there);
        let connection = open.map_or_else(|| self.open(), |(_, connection)| Ok(connection))?;
        Ok(&self.connection.insert((there, connection)).1)
    }

    fn open(&self) -> Result<Connection, DatabaseError> {
        self.readers.renew();
        open::writer(&self.path, &self.schema)
    }
}

fn transact(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let run = group.iter_mut().try_for_each(|job| job.run(connection));
    let committed = run.and_then(|()| execute(connection, "COMMIT"));
    if committed.is_err() && !connection.is_autocommit() {
        // If this fails too, the connection is closed, which has the same effect.
        let _ = execute(connection, "ROLLBACK");
    }
    committed
}

fn execute(connection: &Connection, sql: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
