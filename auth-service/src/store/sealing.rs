//! Stores which master key seals the keys, and moves all keys to another master key. This module can't open any key.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Store, StoreError, audit,
    refresh_keys::{self, SealedRefreshKey},
    signing_keys::{self, SealedSigningKey},
};
use crate::domain::audit::AuditEntry;

const SEALING: &str = "SELECT epoch, proof FROM sealing WHERE only_row = 1";
const BEGIN: &str =
    "INSERT INTO sealing (only_row, epoch, proof) VALUES (1, 1, $1) ON CONFLICT (only_row) DO NOTHING";
const RESEAL: &str = "UPDATE sealing SET epoch = epoch + 1, proof = $1 WHERE only_row = 1";
const RESEAL_SIGNING_KEY: &str = "UPDATE signing_keys SET sealed = $1 WHERE kid = $2";
const RESEAL_REFRESH_KEY: &str = "UPDATE refresh_keys SET sealed = $1 WHERE version = $2";

/// Counts master keys: goes up by one at each reseal.
pub type Epoch = i64;

/// The master key that seals the keys.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// The epoch of the master key.
    pub epoch: Epoch,
    /// A sealed value that only this master key opens.
    pub proof: Vec<u8>,
}

/// All sealed values.
#[derive(Debug)]
pub struct Sealed {
    /// The signing keys.
    pub signing: Vec<SealedSigningKey>,
    /// The refresh keys.
    pub refresh: Vec<SealedRefreshKey>,
    /// A sealed value that only the master key opens.
    pub proof: Vec<u8>,
}

impl Store {
    /// The master key that seals the keys. `None` when nothing is sealed yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn sealing(&self) -> Result<Option<Sealing>, StoreError> {
        self.database.read(|connection| Ok(sealing(connection)?))
    }

    /// Stores the proof of the first master key, unless a proof is stored. Returns the stored one.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn begin_sealing(&self, proof: Vec<u8>) -> Result<Sealing, StoreError> {
        self.database
            .write(move |tx| {
                tx.execute(BEGIN, [proof])?;
                sealing(tx)?.ok_or(StoreError::Damaged("the proof of the master key"))
            })
            .await
    }

    /// Moves all keys to another master key in one transaction. `reseal` opens the sealed values and seals them anew.
    /// Returns the number of keys.
    ///
    /// # Errors
    /// [`StoreError::OtherMasterKey`] when the stored epoch is not `epoch`. The error of `reseal` when it fails.
    /// Nothing is changed then.
    pub async fn reseal<E>(
        &self,
        epoch: Epoch,
        why: AuditEntry,
        reseal: impl FnOnce(Sealed) -> Result<Sealed, E> + Send + 'static,
    ) -> Result<usize, E>
    where
        E: From<StoreError> + From<countermark_service::database::DatabaseError> + Send + 'static,
    {
        self.database
            .write(move |tx| {
                expect(tx, epoch)?;
                let there = all(tx)?;
                let resealed = reseal(there)?;
                replace(tx, &resealed, &why).map_err(StoreError::from)?;
                Ok(resealed.signing.len() + resealed.refresh.len())
            })
            .await
    }
}

/// Checks that the stored epoch is `epoch`, in the transaction that adds a key.
pub(super) fn expect(tx: &Connection, epoch: Epoch) -> Result<(), StoreError> {
    match sealing(tx)? {
        Some(sealing) if sealing.epoch != epoch => Err(StoreError::OtherMasterKey),
        Some(_) | None => Ok(()),
    }
}

fn sealing(connection: &Connection) -> rusqlite::Result<Option<Sealing>> {
    let read = |row: &rusqlite::Row<'_>| Ok(Sealing { epoch: row.get(0)?, proof: row.get(1)? });
    connection.prepare_cached(SEALING)?.query_row([], read).optional()
}

fn all(tx: &Connection) -> Result<Sealed, StoreError> {
    let proof = sealing(tx)?.map(|sealing| sealing.proof).unwrap_or_default();
    Ok(Sealed { signing: signing_keys::signing_keys(tx)?, refresh: refresh_keys::refresh_keys(tx)?, proof })
}

fn replace(tx: &Connection, sealed: &Sealed, why: &AuditEntry) -> rusqlite::Result<()> {
    for key in &sealed.signing {
        tx.execute(RESEAL_SIGNING_KEY, params![key.sealed, key.kid.as_str()])?;
    }
    for key in &sealed.refresh {
        tx.execute(RESEAL_REFRESH_KEY, params![key.sealed, key.version])?;
    }
    tx.execute(RESEAL, [&sealed.proof])?;
    audit::add(tx, why)
}
