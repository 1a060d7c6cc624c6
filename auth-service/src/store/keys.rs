//! Keys, sealed. This room can't open them.

use rusqlite::{Connection, params};
use shared::clock::Timestamp;

use super::{Store, StoreError};
use crate::domain::refresh_token::KeyVersion;

const SIGNING_KEYS: &str = "SELECT kid, sealed FROM signing_keys ORDER BY created_at, kid";
const ADD_SIGNING_KEY: &str = "INSERT INTO signing_keys (kid, sealed, created_at) VALUES ($1, $2, $3)";
const REFRESH_KEYS: &str = "SELECT version, sealed FROM refresh_keys ORDER BY version";
const ADD_REFRESH_KEY: &str = "INSERT INTO refresh_keys (version, sealed, created_at) VALUES ($1, $2, $3)";

/// A private signing key, sealed.
#[derive(Clone, Debug)]
pub struct SealedSigningKey {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// The PKCS #8 document, sealed under the kid.
    pub sealed: Vec<u8>,
}

/// A key that refresh tokens are derived from, sealed.
#[derive(Clone, Debug)]
pub struct SealedRefreshKey {
    /// What tokens name it by.
    pub version: KeyVersion,
    /// The key, sealed under the version.
    pub sealed: Vec<u8>,
}

impl Store {
    /// The signing keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn signing_keys(&self) -> Result<Vec<SealedSigningKey>, StoreError> {
        self.database.read(|connection| Ok(signing_keys(connection)?))
    }

    /// Adds the first signing key, unless there is one; answers those that are there then. Of two instances that start
    /// on an empty database one wins, and both sign with the winner's key.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn add_first_signing_key(
        &self,
        key: SealedSigningKey,
        now: Timestamp,
    ) -> Result<Vec<SealedSigningKey>, StoreError> {
        self.database
            .write(move |tx| {
                let there = signing_keys(tx)?;
                if !there.is_empty() {
                    return Ok(there);
                }
                tx.execute(ADD_SIGNING_KEY, params![key.kid, key.sealed, now.unix_millis()])?;
                Ok(vec![key])
            })
            .await
    }

    /// The keys that refresh tokens are derived from, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn refresh_keys(&self) -> Result<Vec<SealedRefreshKey>, StoreError> {
        self.database.read(|connection| Ok(refresh_keys(connection)?))
    }

    /// Adds the first of them, unless there is one; answers those that are there then.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn add_first_refresh_key(
        &self,
        key: SealedRefreshKey,
        now: Timestamp,
    ) -> Result<Vec<SealedRefreshKey>, StoreError> {
        self.database
            .write(move |tx| {
                let there = refresh_keys(tx)?;
                if !there.is_empty() {
                    return Ok(there);
                }
                tx.execute(ADD_REFRESH_KEY, params![key.version, key.sealed, now.unix_millis()])?;
                Ok(vec![key])
            })
            .await
    }
}

fn signing_keys(connection: &Connection) -> rusqlite::Result<Vec<SealedSigningKey>> {
    let mut statement = connection.prepare_cached(SIGNING_KEYS)?;
    let rows =
        statement.query_map([], |row| Ok(SealedSigningKey { kid: row.get(0)?, sealed: row.get(1)? }))?;
    rows.collect()
}

fn refresh_keys(connection: &Connection) -> rusqlite::Result<Vec<SealedRefreshKey>> {
    let mut statement = connection.prepare_cached(REFRESH_KEYS)?;
    let rows =
        statement.query_map([], |row| Ok(SealedRefreshKey { version: row.get(0)?, sealed: row.get(1)? }))?;
    rows.collect()
}
