//! Stores which master key seals the keys. This module can't open any key.

use rusqlite::{Connection, OptionalExtension as _};

use super::{Store, StoreError};
use crate::domain::sealing::MasterKeyEpoch;

const SEALING: &str = "SELECT epoch, proof FROM sealing WHERE only_row = 1";
const BEGIN: &str =
    "INSERT INTO sealing (only_row, epoch, proof) VALUES (1, 1, $1) ON CONFLICT (only_row) DO NOTHING";

/// The master key that seals the keys.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// The epoch of the master key.
    pub epoch: MasterKeyEpoch,
    /// A sealed value that only this master key opens.
    pub proof: Vec<u8>,
}

impl Store {
    /// The master key that seals the keys. `None` when nothing is sealed yet.
    pub fn sealing(&self) -> Result<Option<Sealing>, StoreError> {
        self.database.read(|connection| Ok(sealing(connection)?))
    }

    /// Stores the proof of the first master key, unless a proof is stored. Returns the stored one.
    pub async fn begin_sealing(&self, proof: Vec<u8>) -> Result<Sealing, StoreError> {
        self.write(move |tx| {
            tx.execute(BEGIN, [proof])?;
            sealing(tx)?.ok_or(StoreError::Damaged("the proof of the master key"))
        })
        .await
    }
}

/// Checks that the stored epoch is `epoch`, in the transaction that adds a key.
pub(super) fn expect(tx: &Connection, epoch: MasterKeyEpoch) -> Result<(), StoreError> {
    match sealing(tx)? {
        Some(sealing) if sealing.epoch != epoch => Err(StoreError::OtherMasterKey),
        Some(_) | None => Ok(()),
    }
}

/// The master key that seals the keys.
pub(super) fn sealing(connection: &Connection) -> rusqlite::Result<Option<Sealing>> {
    let read =
        |row: &rusqlite::Row<'_>| Ok(Sealing { epoch: MasterKeyEpoch::new(row.get(0)?), proof: row.get(1)? });
    connection.prepare_cached(SEALING)?.query_row([], read).optional()
}
