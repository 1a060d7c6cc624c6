//! Resealing: everything that is sealed moves to another master key while services run. They hold their keys in memory,
//! and take up the new master key when the file of their setting holds it.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    Keys, proof_key, refresh_keys,
    signing::{self, PROOF},
};
use crate::{
    domain::{audit::Event, session::Device},
    keys::{Sealing, master_key::MasterKey, seal::Sealer},
    ops::{error::KeysError, operator::by_whom},
    store::{StoreError, reseal::Sealed},
};

/// The poll interval for another master key.
const LOOK: Duration = Duration::from_secs(1);

impl Keys {
    /// Seals everything with the master key in the file at `path`, which is made when absent. The master key before opens
    /// nothing then. Returns how many keys there are.
    ///
    /// # Errors
    /// [`KeysError`] when the new key can't be read or made, or the old one is no longer that of the database.
    pub async fn reseal(&self, path: &Path) -> Result<usize, KeysError> {
        let master = MasterKey::read_or_make(path, &*self.context.random)?;
        let new = Sealer::new(&master)?;
        let (old, random) = (self.material.sealing.load_full(), Arc::clone(&self.context.random));
        let mut why = self.context.audit(Event::KeysResealed, &Device::default());
        why.detail = Some(by_whom().to_owned());
        let epoch = old.epoch;
        let resealed = self.context.store.reseal(epoch, why, move |mut sealed: Sealed| {
            let again = |name: &str, secret: &mut Vec<u8>| {
                *secret = new.seal(name, &old.sealer.open(name, secret)?, &*random)?;
                Ok::<_, KeysError>(())
            };
            for key in &mut sealed.signing {
                again(&signing::name(&key.kid), &mut key.sealed)?;
            }
            for key in &mut sealed.refresh {
                again(&refresh_keys::name(key.version), &mut key.sealed)?;
            }
            if let Some(key) = &mut sealed.positions {
                again(proof_key::NAME, key)?;
            }
            again(PROOF, &mut sealed.proof)?;
            Ok::<_, KeysError>(sealed)
        });
        resealed.await
    }

    /// Takes up another master key after everything was sealed with it, until the returned future is dropped. Until the
    /// file holds that master key, the service goes on with the keys in memory.
    pub async fn keep_master_key(&self) {
        let mut warned_of = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(Some(there)) = self.context.store.sealing() else { continue };
            if there.epoch == self.material.sealing.load().epoch {
                continue;
            }
            let opened = self.sealer_of_file().and_then(|sealer| {
                sealer.open(PROOF, &there.proof)?;
                Ok(sealer)
            });
            match opened {
                Ok(sealer) => {
                    self.material.sealing.store(Arc::new(Sealing { sealer, epoch: there.epoch }));
                    tracing::info!("another master key is in use");
                }
                Err(error) if warned_of != Some(there.epoch) => {
                    let path = self.material.master_key_file.display();
                    tracing::error!(%error, %path, "everything was sealed with another master key; put that in AUTH_MASTER_KEY_FILE: this service takes it up, and goes on meanwhile with the keys that it holds");
                    warned_of = Some(there.epoch);
                }
                Err(_) => {}
            }
        }
    }

    fn sealer_of_file(&self) -> Result<Sealer, KeysError> {
        Ok(Sealer::new(&MasterKey::read(&self.material.master_key_file)?)?)
    }
}

impl From<countermark_service::database::DatabaseError> for KeysError {
    fn from(error: countermark_service::database::DatabaseError) -> Self {
        Self::Store(StoreError::from(error))
    }
}
