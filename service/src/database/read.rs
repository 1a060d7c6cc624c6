//! Reads run on the caller's thread, because a point lookup takes less time than waking another thread.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rusqlite::Connection;

use super::{error::DatabaseError, open};

/// Maximum number of idle connections that are kept. A read that finds none opens a new one.
const KEPT: usize = 4;

/// The pool of read-only connections.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<(usize, Connection)>>,
    epoch: AtomicUsize,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), epoch: AtomicUsize::new(0) }
    }

    pub(super) fn read<T, E: From<DatabaseError>>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let kept = self.idle().pop().filter(|kept| kept.0 == epoch);
        let connection = match kept {
            Some((_, connection)) => connection,
            None => open::reader(&self.path)?,
        };
        let result = f(&connection);
        let mut idle = self.idle();
        if connection.is_autocommit() && idle.len() < KEPT {
            idle.push((epoch, connection));
        }
        result
    }

    /// Closes all connections, because the file was replaced or is about to be closed.
    pub(super) fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::Release);
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(usize, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
