//! How the store fails.

use countermark_service::database::DatabaseError;

/// How the store fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer as it should.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Everything is sealed with another master key since.
    #[error("the keys are sealed with another master key since")]
    OtherMasterKey,
    /// A row holds what this service never wrote.
    #[error("{0} in the database is damaged")]
    Damaged(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
