//! Stores the key that proves positions of the revocation log, sealed. This module can't open it.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError, sealing};
use crate::domain::sealing::MasterKeyEpoch;

const ADD: &str = "INSERT INTO proof_key (only_row, sealed) VALUES (1, $1) ON CONFLICT (only_row) DO NOTHING";
const READ: &str = "SELECT sealed FROM proof_key WHERE only_row = 1";
const RESEAL: &str = "UPDATE proof_key SET sealed = $1 WHERE only_row = 1";

impl Store {
    /// The sealed key. `None` before the first start.
    pub fn proof_key(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.read(|connection| Ok(proof_key(connection)?))
    }

    /// Stores the key, unless one is stored. Returns the stored one.
    pub async fn add_proof_key(&self, sealed: Vec<u8>, epoch: MasterKeyEpoch) -> Result<Vec<u8>, StoreError> {
        self.write(move |tx| {
            sealing::expect(tx, epoch)?;
            tx.execute(ADD, params![sealed])?;
            proof_key(tx)?.ok_or(StoreError::Damaged("the key that proves positions"))
        })
        .await
    }
}

pub(super) fn proof_key(connection: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(READ)?.query_row([], |row| row.get(0)).optional()
}

pub(super) fn replace(tx: &Connection, sealed: &[u8]) -> rusqlite::Result<()> {
    tx.execute(RESEAL, [sealed]).map(drop)
}
