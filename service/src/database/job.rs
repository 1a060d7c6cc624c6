//! A write as a job: run inside the transaction of its group, and answered after the commit.

use std::panic::{self, AssertUnwindSafe};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::DatabaseError;

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

/// Runs a statement that answers no row, prepared once per connection.
pub(super) fn execute(connection: &Connection, sql: &str) -> Result<(), DatabaseError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
