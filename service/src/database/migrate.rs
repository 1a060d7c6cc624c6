//! Migrations create and change the tables, in one transaction, by one process at a time.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::DatabaseError;

/// One step of a schema. Its position in the list is its version, so new steps are only appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// A short name, for error messages.
    pub name: &'static str,
    /// The SQL statements.
    pub sql: &'static str,
}

/// Applies the missing `migrations`, and sets the file's `application_id`.
pub(super) fn migrate(
    connection: &mut Connection,
    application_id: i32,
    migrations: &[Migration],
) -> Result<(), DatabaseError> {
    if done(connection, application_id, migrations)? == migrations.len() {
        return Ok(());
    }
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let done = done(&transaction, application_id, migrations)?;
    for migration in &migrations[done..] {
        let failed = |error| DatabaseError::Other(format!("migration {}: {error}", migration.name));
        transaction.execute_batch(migration.sql).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", application_id)?;
    transaction.pragma_update(None, "user_version", known(migrations))?;
    Ok(transaction.commit()?)
}

/// The number of `migrations` that the file has. Fails when the file belongs to another program or has more.
pub(super) fn done(
    connection: &Connection,
    application_id: i32,
    migrations: &[Migration],
) -> Result<usize, DatabaseError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let is_empty = pragma("schema_version")? == 0 && pragma("application_id")? == 0;
    if !is_empty && pragma("application_id")? != i64::from(application_id) {
        return Err(DatabaseError::Foreign);
    }
    let found = pragma("user_version")?;
    let newer = || DatabaseError::NewerSchema { found, known: known(migrations) };
    usize::try_from(found).ok().filter(|&done| done <= migrations.len()).ok_or_else(newer)
}

/// The version after the last of `migrations`.
fn known(migrations: &[Migration]) -> i64 {
    i64::try_from(migrations.len()).unwrap_or(i64::MAX)
}
