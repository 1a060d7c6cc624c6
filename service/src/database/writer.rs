//! One thread owns the only writing connection, and commits all queued writes together. It adds no delay to make a
//! group larger.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;

use super::{
    error::DatabaseError,
    job::{Job, execute},
    open::{self, Identity, Schema},
    queue::Queue,
    read::Readers,
};

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
