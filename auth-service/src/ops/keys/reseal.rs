//! Moving everything that is sealed to another master key, while services run: they hold their keys in memory, and take up
//! the new master key when it lies where their setting says.

use std::{path::Path, sync::Arc, time::Duration};

use crate::ops::{
    AuthService, Error,
    keys::{
        refresh_keys,
        signing::{self, KeysError, PROOF},
    },
};
use crate::{
    domain::{audit::Event, session::Device},
    keys::{Sealing, master_key::MasterKey, seal::Sealer},
    store::{StoreError, reseal::Sealed},
};

/// How often is looked whether there is another master key.
const LOOK: Duration = Duration::from_secs(1);

impl AuthService {
    /// Seals everything with the master key in the file at `path`, made when absent; nothing opens with the one before then.
    /// Answers how many keys there were.
    ///
    /// # Errors
    /// [`Error::Keys`] when the new key can't be had, or the old one is no longer that of the database.
    pub async fn reseal(&self, path: &Path) -> Result<usize, Error> {
        let master = MasterKey::read_or_make(path, &*self.random).map_err(KeysError::from)?;
        let new = Sealer::new(&master).map_err(KeysError::from)?;
        let (old, random) = (self.keys.sealing.load_full(), Arc::clone(&self.random));
        let mut why = self.audit(Event::KeysResealed, &Device::default());
        why.detail = Some("by an operator".to_owned());
        let epoch = old.epoch;
        let resealed = self.store.reseal(epoch, why, move |mut sealed: Sealed| {
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
            again(PROOF, &mut sealed.proof)?;
            Ok::<_, KeysError>(sealed)
        });
        Ok(resealed.await?)
    }

    /// Takes up another master key when everything was sealed with it, until the returned future is dropped. Until it
    /// lies in the file, the service goes on with the keys that it holds.
    pub async fn keep_master_key(&self) {
        let mut warned_of = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(Some(there)) = self.store.sealing() else { continue };
            if there.epoch == self.keys.sealing.load().epoch {
                continue;
            }
            let opened = self.sealer_of_now().and_then(|sealer| {
                sealer.open(PROOF, &there.proof)?;
                Ok(sealer)
            });
            match opened {
                Ok(sealer) => {
                    self.keys.sealing.store(Arc::new(Sealing { sealer, epoch: there.epoch }));
                    tracing::info!("another master key is in use");
                }
                Err(error) if warned_of != Some(there.epoch) => {
                    let path = self.keys.master_key_file.display();
                    tracing::error!(%error, %path, "everything was sealed with another master key; put that in AUTH_MASTER_KEY_FILE: this service takes it up, and goes on meanwhile with the keys that it holds");
                    warned_of = Some(there.epoch);
                }
                Err(_) => {}
            }
        }
    }

    fn sealer_of_now(&self) -> Result<Sealer, KeysError> {
        Ok(Sealer::new(&MasterKey::read(&self.keys.master_key_file)?)?)
    }
}

impl From<countermark_service::database::DatabaseError> for KeysError {
    fn from(error: countermark_service::database::DatabaseError) -> Self {
        Self::Store(StoreError::from(error))
    }
}
