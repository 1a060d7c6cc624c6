//! Moves all sealed keys to another master key. This module can't open any key.

use rusqlite::{Connection, params};

use super::{
    Store, StoreError, audit, proof_key,
    refresh_keys::{self, SealedRefreshKey},
    sealing,
    signing_keys::{self, SealedSigningKey},
};
use crate::domain::{audit::AuditEntry, sealing::MasterKeyEpoch};

const RESEAL: &str = "UPDATE sealing SET epoch = epoch + 1, proof = $1 WHERE only_row = 1";
const RESEAL_SIGNING_KEY: &str = "UPDATE signing_keys SET sealed = $1 WHERE kid = $2";
const RESEAL_REFRESH_KEY: &str = "UPDATE refresh_keys SET sealed = $1 WHERE version = $2";

/// All sealed values.
#[derive(Debug)]
pub struct Sealed {
    /// The signing keys.
    pub signing: Vec<SealedSigningKey>,
    /// The refresh keys.
    pub refresh: Vec<SealedRefreshKey>,
    /// A sealed value that only the master key opens.
    pub proof: Vec<u8>,
    /// The key that proves positions of the revocation log, if there is one.
    pub positions: Option<Vec<u8>>,
}

impl Store {
    /// Moves all keys to another master key in one transaction. `reseal` opens the sealed values and seals them anew.
    /// Returns the number of keys.
    ///
    /// # Errors
    /// [`StoreError::OtherMasterKey`] when the stored epoch is not `epoch`. The error of `reseal` when it fails.
    /// Nothing is changed then.
    pub async fn reseal<E>(
        &self,
        epoch: MasterKeyEpoch,
        why: AuditEntry,
        reseal: impl FnOnce(Sealed) -> Result<Sealed, E> + Send + 'static,
    ) -> Result<usize, E>
    where
        E: From<StoreError> + From<countermark_service::database::DatabaseError> + Send + 'static,
    {
        self.write(move |tx| {
            sealing::expect(tx, epoch)?;
            let there = all(tx)?;
            let resealed = reseal(there)?;
            replace(tx, &resealed, &why).map_err(StoreError::from)?;
            Ok(resealed.signing.len() + resealed.refresh.len())
        })
        .await
    }
}

fn all(tx: &Connection) -> Result<Sealed, StoreError> {
    let proof = sealing::sealing(tx)?.map(|sealing| sealing.proof).unwrap_or_default();
    let positions = proof_key::proof_key(tx)?;
    Ok(Sealed {
        signing: signing_keys::signing_keys(tx)?,
        refresh: refresh_keys::refresh_keys(tx)?,
        proof,
        positions,
    })
}

fn replace(tx: &Connection, sealed: &Sealed, why: &AuditEntry) -> rusqlite::Result<()> {
    for key in &sealed.signing {
        tx.execute(RESEAL_SIGNING_KEY, params![key.sealed, key.kid.as_str()])?;
    }
    for key in &sealed.refresh {
        tx.execute(RESEAL_REFRESH_KEY, params![key.sealed, key.version.get()])?;
    }
    if let Some(key) = &sealed.positions {
        proof_key::replace(tx, key)?;
    }
    tx.execute(RESEAL, [&sealed.proof])?;
    audit::add(tx, why)
}
