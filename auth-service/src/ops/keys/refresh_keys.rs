//! The keys that refresh tokens are derived from: read, made at the first start, and replaced without logging anyone out.

use std::{sync::Arc, time::Duration};

use countermark::{clock::Timestamp, random::Random};
use zeroize::Zeroizing;

use crate::ops::{AuthService, Error, keys::signing::KeysError};
use crate::{
    domain::{audit::Event, refresh_token::KeyVersion, session::Device},
    keys::{
        Sealing,
        refresh_keys::{RefreshKey, RefreshKeys},
        seal::{CannotOpen, Sealer},
    },
    store::{Store, refresh_keys::SealedRefreshKey},
};

/// The version of the first one.
const FIRST_VERSION: KeyVersion = 1;

/// A new key makes tokens only so long after it was added: by then every process on this database has read it, or can't
/// read the database at all.
const LEAD: Duration = Duration::from_secs(10);

/// A key, as an operator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// What tokens name it by.
    pub version: KeyVersion,
    /// From when on new tokens are made with it, until a newer one makes them.
    pub signs_from: Timestamp,
}

impl From<&SealedRefreshKey> for Listed {
    fn from(key: &SealedRefreshKey) -> Self {
        Self { version: key.version, signs_from: key.signs_from }
    }
}

/// Those of the database, or a new one that is put there first.
///
/// # Errors
/// [`KeysError`] when they can't be had.
pub async fn read_or_make(
    store: &Store,
    Sealing { sealer, epoch }: &Sealing,
    random: &dyn Random,
    now: Timestamp,
) -> Result<RefreshKeys, KeysError> {
    let mut sealed = store.refresh_keys()?;
    if sealed.is_empty() {
        let first = make(FIRST_VERSION, Timestamp::from_unix_millis(0), sealer, random)?;
        sealed = store.add_refresh_key(first, *epoch, now, None).await?;
    }
    opened(&sealed, sealer)
}

impl AuthService {
    /// The keys, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn listed_refresh_keys(&self) -> Result<Vec<Listed>, Error> {
        Ok(self.store.refresh_keys()?.iter().map(Listed::from).collect())
    }

    /// Adds a key that makes all new refresh tokens from a little later on, and answers it; one that was added so lately
    /// that it makes none yet is answered instead. Tokens of the older ones stay good until their sessions end.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; [`Error::Defect`] after 65,535 keys.
    pub async fn replace_refresh_key(&self) -> Result<Listed, Error> {
        let now = self.clock.now();
        let keys = self.store.refresh_keys()?;
        let newest = keys.last().ok_or(Error::Defect("no key for refresh tokens"))?;
        if newest.signs_from > now {
            return Ok(newest.into());
        }
        let version = newest.version.checked_add(1).ok_or(Error::Defect("no version left"))?;
        let sealing = self.keys.sealing.load_full();
        let key = make(version, now.after(LEAD), &sealing.sealer, &*self.random)?;
        let mut why = self.audit(Event::RefreshKeyReplaced, &Device::default());
        why.detail = Some(format!("by an operator: version {version}"));
        let keys = self.store.add_refresh_key(key, sealing.epoch, now, Some(why)).await?;
        keys.last().map(Listed::from).ok_or(Error::Defect("no key for refresh tokens"))
    }

    /// Reads them again if others have added one.
    ///
    /// # Errors
    /// [`KeysError`] when they can't be had.
    pub fn catch_up_with_refresh_keys(&self) -> Result<(), KeysError> {
        let versions = self.store.refresh_key_versions()?;
        if !self.keys.refresh.load().versions().eq(versions) {
            self.keys
                .refresh
                .store(Arc::new(opened(&self.store.refresh_keys()?, &self.keys.sealing.load().sealer)?));
        }
        Ok(())
    }
}

fn make(
    version: KeyVersion,
    signs_from: Timestamp,
    sealer: &Sealer,
    random: &dyn Random,
) -> Result<SealedRefreshKey, countermark::random::Unavailable> {
    let made: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes()?);
    Ok(SealedRefreshKey { version, sealed: sealer.seal(&name(version), &*made, random)?, signs_from })
}

fn opened(sealed: &[SealedRefreshKey], sealer: &Sealer) -> Result<RefreshKeys, KeysError> {
    let open = |key: &SealedRefreshKey| {
        Ok(RefreshKey::new(key.version, key.signs_from, &sealer.open(&name(key.version), &key.sealed)?))
    };
    let keys = sealed.iter().map(open).collect::<Result<_, CannotOpen>>()?;
    RefreshKeys::new(keys).ok_or(KeysError::None)
}

pub(in crate::ops) fn name(version: KeyVersion) -> String {
    format!("refresh key {version}")
}
