//! Persistent state. One method, one transaction.
//!
//! One file for each noun, with its SQL statements: [`accounts`], [`assertions`], [`audiences`], [`audit`],
//! [`clients`], [`end_sessions`], [`forget_sessions`], [`invitations`], [`refresh_keys`], [`login_tries`], [`minted`], [`registry`],
//! [`registry_version`], [`reseal`], [`revocations`], [`sealing`],
//! [`sessions`], [`signing_keys`], [`watchers`]. [`went_back`] stops all writes when the database is known to have lost some.

pub mod accounts;
pub mod assertions;
pub mod audiences;
pub mod audit;
pub mod backup;
pub mod clients;
mod column;
pub mod end_sessions;
pub mod error;
pub mod forget_sessions;
pub mod invitations;
pub mod login_tries;
pub mod mark;
pub mod minted;
pub mod proof_key;
pub mod recover;
pub mod refresh_keys;
pub mod registry;
pub mod registry_version;
pub mod reseal;
pub mod revocations;
pub mod sealing;
pub mod sessions;
pub mod signing_keys;
#[cfg(test)]
pub(crate) mod statistics;
pub mod watchers;
pub mod went_back;

use std::{path::PathBuf, sync::Arc};

use countermark_service::database::{
    Database, DatabaseError, DatabasePath, Migration, Schema, Witness, rusqlite::Connection,
};
use serde::{Serialize, de::DeserializeOwned};

pub use error::StoreError;

/// The schema as a list of migrations. A published migration never changes. The application id is `TsrA` in ASCII.
pub const SCHEMA: Schema = Schema {
    application_id: 0x5473_7241,
    migrations: &[
        Migration {
            name: "accounts, sessions, keys, clients",
            sql: include_str!("../../migrations/0001_accounts_sessions_keys_clients.sql"),
        },
        Migration {
            name: "revocations, audit",
            sql: include_str!("../../migrations/0002_revocations_audit.sql"),
        },
        Migration { name: "login tries", sql: include_str!("../../migrations/0003_login_tries.sql") },
        Migration {
            name: "invitations, times of refresh keys",
            sql: include_str!("../../migrations/0004_invitations_refresh_key_times.sql"),
        },
        Migration {
            name: "registry, assertions",
            sql: include_str!("../../migrations/0005_registry_assertions.sql"),
        },
        Migration { name: "watchers", sql: include_str!("../../migrations/0006_watchers.sql") },
        Migration {
            name: "states of signing keys, sealing",
            sql: include_str!("../../migrations/0007_signing_key_states_sealing.sql"),
        },
        Migration {
            name: "what was minted, arrivals of watchers",
            sql: include_str!("../../migrations/0008_minted_arrivals.sql"),
        },
        Migration {
            name: "positions of the revocation log",
            sql: include_str!("../../migrations/0009_positions.sql"),
        },
        Migration {
            name: "epochs of sessions",
            sql: include_str!("../../migrations/0010_session_epochs.sql"),
        },
        Migration {
            name: "counts of repeated answers",
            sql: include_str!("../../migrations/0011_repeated_answers.sql"),
        },
        Migration { name: "chain of the audit", sql: include_str!("../../migrations/0012_audit_chain.sql") },
    ],
};

/// The most rows that one transaction of a sweep deletes: others write in between.
pub const SWEPT_AT_ONCE: u16 = 1_000;

/// The database of this service. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    evidence: went_back::Evidence,
    mark: Option<Arc<mark::MarkFile>>,
}

impl Store {
    /// Opens the database file at `path`. Creates the file when it is absent. Migrates an older schema to the current
    /// one. `mark` is the file that holds how far the database got.
    pub fn open(path: DatabasePath, mark: Option<PathBuf>) -> Result<Self, StoreError> {
        let mark = mark.map(|path| Arc::new(mark::MarkFile::new(path)));
        let witness = mark.clone().map(|mark| mark as Arc<dyn Witness>);
        let database = Database::open_witnessed(path, SCHEMA, witness)?;
        Ok(Self { database, evidence: went_back::Evidence::default(), mark })
    }

    /// Opens the database for a recovery. Until that is done nothing is counted, and the mark is read and never written. So
    /// a recovery that breaks off leaves a database that is behind its mark still.
    pub fn open_to_recover(path: DatabasePath, mark: Option<PathBuf>) -> Result<Self, StoreError> {
        let mark = mark.map(|path| Arc::new(mark::MarkFile::new(path)));
        let database = Database::open(path, SCHEMA)?;
        Ok(Self { database, evidence: went_back::Evidence::default(), mark })
    }

    /// Checks that the database can be read, that the last write succeeded, and that no write is known to be lost.
    pub fn health(&self) -> Result<(), StoreError> {
        self.evidence.check()?;
        Ok(self.database.health()?)
    }

    /// The engine, for its metrics.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Checks that no other file has taken the database's place.
    pub fn check_place(&self) -> Result<(), StoreError> {
        Ok(self.database.check_place()?)
    }

    /// Checks that the database is not known to have lost writes.
    pub fn check_nothing_lost(&self) -> Result<(), StoreError> {
        self.evidence.check()
    }

    /// Writes in a transaction, unless the database is known to have lost writes.
    async fn write<T, E>(&self, f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<DatabaseError> + Send + 'static,
    {
        self.evidence.check()?;
        self.database.write(f).await
    }
}

/// Encodes a list of words as a JSON array, the stored form.
fn to_words<T: Serialize>(words: impl IntoIterator<Item = T>) -> String {
    let words: serde_json::Value =
        words.into_iter().filter_map(|word| serde_json::to_value(word).ok()).collect();
    words.to_string()
}

/// Decodes a list of words from its stored form.
fn from_words<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged("a list of words"))
}
