//! Signing keys, sealed, and the states that they go through. Each step is one compare-and-set, so that of several
//! processes that take it one does.

use countermark::{clock::Timestamp, verify::Revocation};
use rusqlite::{Connection, Row, params};

use super::{
    Store, StoreError, audit,
    revocations::{self, LogEntry},
    sealing::{self, Epoch},
};
use crate::domain::{audit::AuditEntry, signing_key::KeyTimes};

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

/// A private signing key, sealed.
#[derive(Clone, Debug)]
pub struct SealedSigningKey {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// When it came into which state.
    pub times: KeyTimes,
    /// The PKCS #8 document, sealed under the kid.
    pub sealed: Vec<u8>,
}

/// A signing key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSigningKey {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// When it came into which state.
    pub times: KeyTimes,
}

/// A new signing key, and what it is sealed with.
#[derive(Clone, Debug)]
pub struct NewSigningKey {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// The PKCS #8 document, sealed under the kid.
    pub sealed: Vec<u8>,
    /// Which master key it is sealed with.
    pub epoch: Epoch,
}

/// What came of taking a key back.
#[derive(Debug)]
pub enum KeyRevoked {
    /// It is revoked, by this entry of the log.
    Done(LogEntry),
    /// It is the one that signs, and there is none to take its place.
    NoOther,
    /// There is no such key.
    Unknown,
}

impl Store {
    /// The signing keys, in the order in which they were published.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn signing_keys(&self) -> Result<Vec<SealedSigningKey>, StoreError> {
        self.database.read(|connection| Ok(signing_keys(connection)?))
    }

    /// The same without their secrets.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn listed_signing_keys(&self) -> Result<Vec<ListedSigningKey>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(TIMES)?;
            let rows = statement
                .query_map([], |row| Ok(ListedSigningKey { kid: row.get(0)?, times: times(row)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Adds the first signing key, which signs at once, unless there is one; answers those that are there then. Of two
    /// instances that start on an empty database one wins, and both sign with the winner's key.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn add_first_signing_key(
        &self,
        key: NewSigningKey,
        now: Timestamp,
    ) -> Result<Vec<SealedSigningKey>, StoreError> {
        self.database
            .write(move |tx| {
                if signing_keys(tx)?.is_empty() {
                    sealing::expect(tx, key.epoch)?;
                    add(tx, &key, now, Some(now))?;
                }
                Ok(signing_keys(tx)?)
            })
            .await
    }

    /// Publishes the key that is to sign next, unless there is one. `false` when there was.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; [`StoreError::OtherMasterKey`] when others are sealed with another one.
    pub async fn add_next_signing_key(
        &self,
        key: NewSigningKey,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
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

    /// Starts a rotation to the next key. `false` when one is under way, or that key is not the next.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn want_signing_key(
        &self,
        kid: String,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                let wanted = tx.prepare_cached(WANT)?.execute(params![now.unix_millis(), kid])? == 1;
                if wanted {
                    audit::add(tx, &why)?;
                }
                Ok(wanted)
            })
            .await
    }

    /// Has `next` sign in place of `active`: compare and set. `false` when they are no longer that.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn rotate_signing_key(
        &self,
        active: String,
        next: String,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                let is_next: bool = tx.prepare_cached(IS_NEXT)?.query_row([&next], |row| row.get(0))?;
                let now = now.unix_millis();
                if !is_next || tx.prepare_cached(RETIRE)?.execute(params![now, active])? == 0 {
                    return Ok(false);
                }
                tx.prepare_cached(ACTIVATE)?.execute(params![now, next])?;
                audit::add(tx, &why)?;
                Ok(true)
            })
            .await
    }

    /// Takes a retired key away. `false` when it was gone.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn forget_signing_key(&self, kid: String, why: AuditEntry) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                let gone = tx.prepare_cached(REMOVE_RETIRED)?.execute([kid])? == 1;
                if gone {
                    audit::add(tx, &why)?;
                }
                Ok(gone)
            })
            .await
    }

    /// Takes a key away at once, whatever its state, and revokes what it signed. When it is the one that signs, the next
    /// signs from now on.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing has changed.
    pub async fn revoke_signing_key(
        &self,
        kid: String,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<KeyRevoked, StoreError> {
        self.database
            .write(move |tx| {
                let has_next: bool = tx.prepare_cached(HAS_NEXT)?.query_row([], |row| row.get(0))?;
                let listed = signing_keys(tx)?.into_iter().find(|key| key.kid == kid);
                let Some(key) = listed else { return Ok(KeyRevoked::Unknown) };
                if !has_next && key.times.active_at.is_some() && key.times.retired_at.is_none() {
                    return Ok(KeyRevoked::NoOther);
                }
                let was_active: bool = tx.prepare_cached(REMOVE)?.query_row([&kid], |row| row.get(0))?;
                if was_active {
                    tx.prepare_cached(ACTIVATE_NEXT)?.execute([now.unix_millis()])?;
                }
                audit::add(tx, &why)?;
                let kid = kid.parse().map_err(|_| StoreError::Damaged("a key's name"))?;
                revocations::append(tx, Revocation::Key(kid), now).map(KeyRevoked::Done)
            })
            .await
    }
}

fn add(
    tx: &Connection,
    key: &NewSigningKey,
    now: Timestamp,
    active_at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let row = params![key.kid, key.sealed, now.unix_millis(), active_at.map(Timestamp::unix_millis)];
    tx.prepare_cached(ADD)?.execute(row).map(drop)
}

pub(super) fn signing_keys(connection: &Connection) -> rusqlite::Result<Vec<SealedSigningKey>> {
    let mut statement = connection.prepare_cached(ALL)?;
    let rows = statement.query_map([], |row| {
        Ok(SealedSigningKey { kid: row.get(0)?, times: times(row)?, sealed: row.get(5)? })
    })?;
    rows.collect()
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
