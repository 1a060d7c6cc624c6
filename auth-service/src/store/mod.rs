//! Persistent state. One method, one transaction.
//!
//! One file for each noun, with its SQL statements: [`accounts`], [`assertions`], [`audiences`], [`audit`],
//! [`clients`], [`invitations`], [`refresh_keys`], [`login_tries`], [`minted`], [`registry`],
//! [`registry_version`], [`reseal`], [`revocations`], [`sealing`],
//! [`sessions`], [`signing_keys`], [`watchers`].

pub mod accounts;
pub mod assertions;
pub mod audiences;
pub mod audit;
pub mod clients;
pub mod error;
pub mod invitations;
pub mod login_tries;
pub mod minted;
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

use countermark_service::database::{Database, DatabasePath, Migration, Schema};
use serde::{Serialize, de::DeserializeOwned};

pub use error::StoreError;

/// The schema as a list of migrations. A published migration never changes. The application id is `TsrA` in ASCII.
const SCHEMA: Schema = Schema {
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
    ],
};

/// The database of this service. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the database file at `path`. Creates the file when it is absent. Migrates an older schema to the current
    /// one.
    ///
    /// # Errors
    /// [`StoreError`] when the file can't be used, or when a newer build has migrated it.
    pub fn open(path: DatabasePath) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open(path, SCHEMA)? })
    }

    /// Checks that the database can be read and that the last write succeeded.
    pub fn health(&self) -> Result<(), StoreError> {
        Ok(self.database.health()?)
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
