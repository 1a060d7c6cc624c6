//! Writes: one thread owns the one connection that writes, and commits in one go what has queued up. No delay is added for
//! the sake of a larger group.

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

/// One write, whatever it returns.
pub(super) trait Job: Send {
    /// Runs in a savepoint. An error means that the transaction is lost.
    fn run(&mut self, connection: &Connection) -> Result<(), DatabaseError>;

    /// Tells the caller, once it is known whether the group was committed.
    fn answer(self: Box<Self>, committed: &Result<(), DatabaseError>);
}

/// A write that a caller waits for.
struct Write<F, T, E> {
    f: Option<F>,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

/// A write as a job, and where its result will be.
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
        // A caller that is gone does not want to know.
        let _ = self.caller.send(result);
    }
}

/// How the last commit went, where everyone sees it.
#[derive(Debug, Default)]
pub(super) struct LastCommit(Mutex<Option<DatabaseError>>);

impl LastCommit {
    /// What the last commit failed with, if it failed.
    pub(super) fn trouble(&self) -> Option<DatabaseError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers, and logs what is new about it.
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

/// However the thread ends, nobody waits for it any more.
struct Ended<'a>(&'a Queue);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The state of the thread that writes.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) schema: Schema,
    pub(super) readers: Arc<Readers>,
    pub(super) last: Arc<LastCommit>,
    pub(super) connection: Option<(Identity, Connection)>,
}

impl Writer {
    /// Works until the queue is closed, and empty.
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

    /// One group, and its answers.
    pub(super) fn write(&mut self, mut group: Vec<Box<dyn Job>>) {
        let committed = self.commit(&mut group);
        self.last.set(&committed);
        for job in group {
            job.answer(&committed);
        }
    }

    /// One group, one transaction. After a failure that is not another process's doing the connection is opened anew.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
        let committed = self.connection().and_then(|connection| transact(connection, group));
        if let Err(error) = &committed
            && *error != DatabaseError::Busy
        {
            self.connection = None;
        }
        committed
    }

    /// The connection, if it is still to the file at our path: writes to one that was moved away would be lost.
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
        // Should this fail too, the connection is closed, which has the same effect.
        let _ = execute(connection, "ROLLBACK");
    }
    committed
}

fn execute(connection: &Connection, sql: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
