//! Stores sealed signing keys and their states. Each change of state is one compare-and-set: of several processes
//! that try it, one succeeds.

use countermark::{
    clock::Timestamp,
    verify::{Kid, Revocation},
};
use rusqlite::{Connection, Row, params};

use super::{
    Store, StoreError, audit,
    revocations::{self, LogEntry},
    sealing,
};
use crate::domain::{audit::AuditEntry, sealing::MasterKeyEpoch, signing_key::KeyTimes, watcher::RS256};

const ALL: &str = "SELECT kid, created_at, wanted_at, active_at, retired_at, sealed FROM signing_keys ORDER BY created_at, kid";
const TIMES: &str =
    "SELECT kid, created_at, wanted_at, active_at, retired_at FROM signing_keys ORDER BY created_at, kid";
const ADD: &str = "INSERT INTO signing_keys (kid, sealed, created_at, active_at) VALUES ($1, $2, $3, $4)";
const HAS_NEXT: &str = "SELECT EXISTS (SELECT 1 FROM signing_keys WHERE active_at IS NULL)";
const IS_NEXT: &str = "SELECT EXISTS (SELECT 1 FROM signing_keys WHERE kid = $1 AND active_at IS NULL)";
const WANT: &str =
    "UPDATE signing_keys SET wanted_at = $1 WHERE kid = $2 AND active_at IS NULL AND wanted_at IS NULL";
const RETIRE: &str =
    "UPDATE signing_keys SET retired_at = $1 WHERE kid = $2 AND active_at IS NOT NULL AND retired_at IS NULL";
const ACTIVATE: &str = "UPDATE signing_keys SET active_at = $1 WHERE kid = $2 AND active_at IS NULL";
const ACTIVATE_NEXT: &str = "UPDATE signing_keys SET active_at = $1 WHERE active_at IS NULL";
const REMOVE: &str =
    "DELETE FROM signing_keys WHERE kid = $1 RETURNING active_at IS NOT NULL AND retired_at IS NULL";
const REMOVE_RETIRED: &str = "DELETE FROM signing_keys WHERE kid = $1 AND retired_at IS NOT NULL";

/// A sealed private signing key.
#[derive(Clone, Debug)]
pub struct SealedSigningKey {
    /// The RFC 7638 thumbprint of the key.
    pub kid: Kid,
    /// The instants at which the key entered each state.
    pub times: KeyTimes,
    /// The sealed PKCS #8 document. The kid is the name that it is sealed under.
    pub sealed: Vec<u8>,
}

/// A signing key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSigningKey {
    /// The RFC 7638 thumbprint of the key.
    pub kid: Kid,
    /// The instants at which the key entered each state.
    pub times: KeyTimes,
}

impl ListedSigningKey {
    /// The algorithm that the key signs with: one for each key.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        RS256
    }
}

/// A new signing key, and the epoch of the master key that seals it.
#[derive(Clone, Debug)]
pub struct NewSigningKey {
    /// The RFC 7638 thumbprint of the key.
    pub kid: Kid,
    /// The sealed PKCS #8 document. The kid is the name that it is sealed under.
    pub sealed: Vec<u8>,
    /// The epoch of the master key.
    pub epoch: MasterKeyEpoch,
}

/// The outcome of a key's revocation.
#[derive(Debug)]
pub enum KeyRevoked {
    /// The key is revoked by this log entry.
    Done(LogEntry),
    /// The key is the active one, and there is no next key to replace it.
    NoOther,
    /// No key has this kid.
    Unknown,
}

impl Store {
    /// The signing keys in the order of their publication.
    pub fn signing_keys(&self) -> Result<Vec<SealedSigningKey>, StoreError> {
        self.database.read(signing_keys)
    }

    /// The signing keys without their secrets, in the order of their publication.
    pub fn listed_signing_keys(&self) -> Result<Vec<ListedSigningKey>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(TIMES)?;
            let rows = statement
                .query_and_then([], |row| Ok(ListedSigningKey { kid: kid(row)?, times: times(row)? }))?;
            rows.collect()
        })
    }

    /// Adds the first signing key, and activates it. Does nothing when a key exists. Returns all keys. If two
    /// processes start on an empty database, the first wins, and both sign with its key.
    pub async fn add_first_signing_key(
        &self,
        key: NewSigningKey,
        now: Timestamp,
    ) -> Result<Vec<SealedSigningKey>, StoreError> {
        self.write(move |tx| {
            if signing_keys(tx)?.is_empty() {
                sealing::expect(tx, key.epoch)?;
                add(tx, &key, now, Some(now))?;
            }
            signing_keys(tx)
        })
        .await
    }

    /// Adds the next signing key. `false` when there is a next key already.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. [`StoreError::OtherMasterKey`] when the stored keys are sealed with
    /// the master key of another epoch.
    pub async fn add_next_signing_key(
        &self,
        key: NewSigningKey,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if tx.prepare_cached(HAS_NEXT)?.query_row([], |row| row.get(0))? {
                return Ok(false);
            }
            sealing::expect(tx, key.epoch)?;
            add(tx, &key, now, None)?;
            audit::add(tx, &why)?;
            Ok(true)
        })
        .await
    }

    /// Starts a rotation to the next key `kid`. `false` when a rotation is under way, or when `kid` is not the next
    /// key.
    pub async fn want_signing_key(
        &self,
        kid: Kid,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let wanted = tx.prepare_cached(WANT)?.execute(params![now.unix_millis(), kid.as_str()])? == 1;
            if wanted {
                audit::add(tx, &why)?;
            }
            Ok(wanted)
        })
        .await
    }

    /// Retires `active` and activates `next` by one compare-and-set. `false` when they no longer are the active and
    /// the next key.
    pub async fn rotate_signing_key(
        &self,
        active: Kid,
        next: Kid,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let is_next: bool = tx.prepare_cached(IS_NEXT)?.query_row([next.as_str()], |row| row.get(0))?;
            let now = now.unix_millis();
            if !is_next || tx.prepare_cached(RETIRE)?.execute(params![now, active.as_str()])? == 0 {
                return Ok(false);
            }
            tx.prepare_cached(ACTIVATE)?.execute(params![now, next.as_str()])?;
            audit::add(tx, &why)?;
            Ok(true)
        })
        .await
    }

    /// Deletes a retired key. `false` when it does not exist.
    pub async fn forget_signing_key(&self, kid: Kid, why: AuditEntry) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let gone = tx.prepare_cached(REMOVE_RETIRED)?.execute([kid.as_str()])? == 1;
            if gone {
                audit::add(tx, &why)?;
            }
            Ok(gone)
        })
        .await
    }

    /// Deletes a key in any state, and revokes all tokens that it signed. If it is the active key, the next key
    /// becomes active.
    pub async fn revoke_signing_key(
        &self,
        kid: Kid,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<KeyRevoked, StoreError> {
        self.write(move |tx| {
            let has_next: bool = tx.prepare_cached(HAS_NEXT)?.query_row([], |row| row.get(0))?;
            let listed = signing_keys(tx)?.into_iter().find(|key| key.kid == kid);
            let Some(key) = listed else { return Ok(KeyRevoked::Unknown) };
            if !has_next && key.times.active_at.is_some() && key.times.retired_at.is_none() {
                return Ok(KeyRevoked::NoOther);
            }
            let was_active: bool = tx.prepare_cached(REMOVE)?.query_row([kid.as_str()], |row| row.get(0))?;
            if was_active {
                tx.prepare_cached(ACTIVATE_NEXT)?.execute([now.unix_millis()])?;
            }
            audit::add(tx, &why)?;
            revocations::append(tx, Revocation::Key(kid), now).map(KeyRevoked::Done)
        })
        .await
    }
}

pub(super) fn add(
    tx: &Connection,
    key: &NewSigningKey,
    now: Timestamp,
    active_at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let row = params![key.kid.as_str(), key.sealed, now.unix_millis(), active_at.map(Timestamp::unix_millis)];
    tx.prepare_cached(ADD)?.execute(row).map(drop)
}

pub(super) fn signing_keys(connection: &Connection) -> Result<Vec<SealedSigningKey>, StoreError> {
    let mut statement = connection.prepare_cached(ALL)?;
    let rows = statement.query_and_then([], |row| {
        Ok(SealedSigningKey { kid: kid(row)?, times: times(row)?, sealed: row.get(5)? })
    })?;
    rows.collect()
}

fn kid(row: &Row<'_>) -> Result<Kid, StoreError> {
    let kid: String = row.get(0)?;
    kid.parse().map_err(|_| StoreError::Damaged("a key's name"))
}

fn times(row: &Row<'_>) -> rusqlite::Result<KeyTimes> {
    let at = |column: usize| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix_millis))
    };
    Ok(KeyTimes {
        published_at: Timestamp::from_unix_millis(row.get(1)?),
        wanted_at: at(2)?,
        active_at: at(3)?,
        retired_at: at(4)?,
    })
}
