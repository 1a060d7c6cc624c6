//! One thread owns the only writing connection, and commits all queued writes together. It adds no delay to make a
//! group larger.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::Connection;

use super::{
    error::DatabaseError,
    job::{Job, execute},
    open::{self, Identity, Schema},
    queue::Queue,
    read::Readers,
    reserve::Reserve,
    witness::Witness,
};

/// The result of the last commit, shared with readers.
#[derive(Debug, Default)]
pub(super) struct LastCommit {
    trouble: Mutex<Option<DatabaseError>>,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl LastCommit {
    /// The error of the last commit, if it failed.
    pub(super) fn trouble(&self) -> Option<DatabaseError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many commits succeeded, and how many failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.succeeded.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Stores the result, and logs it when it differs from the previous one.
    fn set(&self, committed: &Result<(), DatabaseError>) {
        let count = if committed.is_ok() { &self.succeeded } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
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
    /// The file that was opened first.
    pub(super) identity: Identity,
    pub(super) connection: Option<Connection>,
    pub(super) witness: Option<Arc<dyn Witness>>,
    /// Whether the space for a start on a full disk is yet to be taken.
    pub(super) lacks_reserve: bool,
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
        if self.lacks_reserve && committed.is_ok() {
            self.lacks_reserve = !Reserve::of(&self.path).keep();
        }
        for job in group {
            job.answer(&committed);
        }
    }

    /// Commits one group in one transaction. After a failure other than "busy", the connection is reopened.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
        let witness = self.witness.clone();
        let committed =
            self.connection().and_then(|connection| transact(connection, group, witness.as_deref()));
        if let Err(error) = &committed
            && *error != DatabaseError::Busy
        {
            self.connection = None;
        }
        committed
    }

    /// The connection. Writes to a file that was moved away would be lost, and another file at the path may lack earlier
    /// writes.
    fn connection(&mut self) -> Result<&Connection, DatabaseError> {
        self.identity.check(&self.path)?;
        let connection = self.connection.take().map_or_else(|| self.open(), Ok)?;
        Ok(self.connection.insert(connection))
    }

    fn open(&self) -> Result<Connection, DatabaseError> {
        self.readers.renew();
        open::writer(&self.path, &self.schema)
    }
}

fn transact(
    connection: &Connection,
    group: &mut [Box<dyn Job>],
    witness: Option<&dyn Witness>,
) -> Result<(), DatabaseError> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let run = group.iter_mut().try_for_each(|job| job.run(connection));
    let run = run.and_then(|()| witness.map_or(Ok(()), |witness| witness.before_commit(connection)));
    let committed = run.and_then(|()| execute(connection, "COMMIT"));
    if committed.is_err() && !connection.is_autocommit() {
        // If this fails too, the connection is closed, which has the same effect.
        let _ = execute(connection, "ROLLBACK");
    }
    if committed.is_ok()
        && let Some(witness) = witness
    {
        witness.after_commit(connection);
    }
    committed
}
