//! The error of all store methods.

use countermark_service::database::DatabaseError;

use crate::domain::went_back::WentBack;

/// A store method failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database engine failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The keys were resealed with another master key after this process opened them.
    #[error("the keys were sealed with another master key in the meantime")]
    OtherMasterKey,
    /// The database has lost writes. Nothing is written until it was recovered.
    #[error(transparent)]
    WentBack(#[from] WentBack),
    /// A row holds a value that this service never writes.
    #[error("{0} in the database is damaged")]
    Damaged(&'static str),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
