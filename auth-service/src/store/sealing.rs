//! Which master key everything is sealed with, and moving all of it to another. This room can't open anything.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Store, StoreError, audit,
    keys::{self, SealedRefreshKey},
    signing_keys::{self, SealedSigningKey},
};
use crate::domain::audit::AuditEntry;

const SEALING: &str = "SELECT epoch, proof FROM sealing WHERE only_row = 1";
const BEGIN: &str =
    "INSERT INTO sealing (only_row, epoch, proof) VALUES (1, 1, $1) ON CONFLICT (only_row) DO NOTHING";
const RESEAL: &str = "UPDATE sealing SET epoch = epoch + 1, proof = $1 WHERE only_row = 1";
const RESEAL_SIGNING_KEY: &str = "UPDATE signing_keys SET sealed = $1 WHERE kid = $2";
const RESEAL_REFRESH_KEY: &str = "UPDATE refresh_keys SET sealed = $1 WHERE version = $2";

/// Counts the master keys that there were.
pub type Epoch = i64;

/// Which master key everything is sealed with.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// How manieth it is.
    pub epoch: Epoch,
    /// What opens with it alone.
    pub proof: Vec<u8>,
}

/// Everything that is sealed.
#[derive(Debug)]
pub struct Sealed {
    /// The signing keys.
    pub signing: Vec<SealedSigningKey>,
    /// The keys of refresh tokens.
    pub refresh: Vec<SealedRefreshKey>,
    /// What opens with the master key alone.
    pub proof: Vec<u8>,
}

impl Store {
    /// Which master key everything is sealed with; `None` before anything is.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn sealing(&self) -> Result<Option<Sealing>, StoreError> {
        self.database.read(|connection| Ok(sealing(connection)?))
    }

    /// Says which master key everything is sealed with, unless that was said; answers what was.
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

    /// Moves everything to another master key, all at once: `reseal` opens and seals it. Answers how many keys there were.
    ///
    /// # Errors
    /// [`StoreError::OtherMasterKey`] when it is not sealed with that of `epoch`; those of `reseal`. Then nothing has
    /// changed.
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
                let there = all(tx).map_err(StoreError::from)?;
                let resealed = reseal(there)?;
                replace(tx, &resealed, &why).map_err(StoreError::from)?;
                Ok(resealed.signing.len() + resealed.refresh.len())
            })
            .await
    }
}

/// Makes sure that everything is sealed with the master key of that epoch, in the transaction that adds to it.
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

fn all(tx: &Connection) -> rusqlite::Result<Sealed> {
    let proof = sealing(tx)?.map(|sealing| sealing.proof).unwrap_or_default();
    Ok(Sealed { signing: signing_keys::signing_keys(tx)?, refresh: keys::refresh_keys(tx)?, proof })
}

fn replace(tx: &Connection, sealed: &Sealed, why: &AuditEntry) -> rusqlite::Result<()> {
    for key in &sealed.signing {
        tx.execute(RESEAL_SIGNING_KEY, params![key.sealed, key.kid])?;
    }
    for key in &sealed.refresh {
        tx.execute(RESEAL_REFRESH_KEY, params![key.sealed, key.version])?;
    }
    tx.execute(RESEAL, [&sealed.proof])?;
    audit::add(tx, why)
}
