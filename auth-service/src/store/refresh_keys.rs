//! Stores the sealed keys of refresh tokens. This module can't open them.

use countermark::clock::Timestamp;
use rusqlite::{Connection, params};

use super::{Store, StoreError, audit, sealing};
use crate::domain::{audit::AuditEntry, refresh_token::KeyVersion, sealing::MasterKeyEpoch};

const REFRESH_KEYS: &str = "SELECT version, sealed, signs_from FROM refresh_keys ORDER BY version";
const REFRESH_KEY_VERSIONS: &str = "SELECT version FROM refresh_keys ORDER BY version";
const REMOVE_REFRESH_KEYS: &str = "DELETE FROM refresh_keys";
const ADD_REFRESH_KEY: &str = "INSERT INTO refresh_keys (version, sealed, created_at, signs_from)
    VALUES ($1, $2, $3, $4) ON CONFLICT (version) DO NOTHING";
const FORGET_REFRESH_KEYS: &str =
    "DELETE FROM refresh_keys WHERE version < (SELECT max(version) FROM refresh_keys WHERE signs_from <= $1)";

/// A sealed key that refresh tokens are derived from.
#[derive(Clone, Debug)]
pub struct SealedRefreshKey {
    /// The version that is written into each refresh token.
    pub version: KeyVersion,
    /// The sealed key. Its version is the name that it is sealed under.
    pub sealed: Vec<u8>,
    /// The instant from which new tokens are derived from this key.
    pub signs_from: Timestamp,
}

impl Store {
    /// All keys, oldest first.
    pub fn refresh_keys(&self) -> Result<Vec<SealedRefreshKey>, StoreError> {
        self.database.read(|connection| Ok(refresh_keys(connection)?))
    }

    /// The versions of all keys, oldest first.
    pub fn refresh_key_versions(&self) -> Result<Vec<KeyVersion>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(REFRESH_KEY_VERSIONS)?;
            let versions = statement.query_map([], |row| row.get(0).map(KeyVersion::new))?;
            Ok(versions.collect::<Result<_, _>>()?)
        })
    }

    /// Adds a key that is sealed with the master key of `epoch`, and audits `why` if it is given. Does nothing when a
    /// key of that version exists: if two processes add the same version, the first wins. Returns all keys.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. [`StoreError::OtherMasterKey`] when the stored keys are sealed with
    /// the master key of another epoch.
    pub async fn add_refresh_key(
        &self,
        key: SealedRefreshKey,
        epoch: MasterKeyEpoch,
        now: Timestamp,
        why: Option<AuditEntry>,
    ) -> Result<Vec<SealedRefreshKey>, StoreError> {
        self.write(move |tx| {
            sealing::expect(tx, epoch)?;
            let row = params![key.version.get(), key.sealed, now.unix_millis(), key.signs_from.unix_millis()];
            if tx.execute(ADD_REFRESH_KEY, row)? == 1
                && let Some(why) = why
            {
                audit::add(tx, &why)?;
            }
            Ok(refresh_keys(tx)?)
        })
        .await
    }

    /// Deletes the keys whose successor has been in use since `until` or longer. Returns how many.
    pub async fn forget_refresh_keys(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute(FORGET_REFRESH_KEYS, [until.unix_millis()])?)).await
    }
}

/// Replaces all keys by `key`.
pub(super) fn replace_all(tx: &Connection, key: &SealedRefreshKey, now: Timestamp) -> rusqlite::Result<()> {
    tx.execute(REMOVE_REFRESH_KEYS, [])?;
    let row = params![key.version.get(), key.sealed, now.unix_millis(), key.signs_from.unix_millis()];
    tx.execute(ADD_REFRESH_KEY, row).map(drop)
}

pub(super) fn refresh_keys(connection: &Connection) -> rusqlite::Result<Vec<SealedRefreshKey>> {
    let mut statement = connection.prepare_cached(REFRESH_KEYS)?;
    let rows = statement.query_map([], |row| {
        let signs_from = Timestamp::from_unix_millis(row.get(2)?);
        Ok(SealedRefreshKey { version: KeyVersion::new(row.get(0)?), sealed: row.get(1)?, signs_from })
    })?;
    rows.collect()
}
