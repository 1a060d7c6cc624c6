//! The keys that refresh tokens are derived from: read, made at the first start, and replaced without ending a session.

use std::{sync::Arc, time::Duration};

use countermark::{clock::Timestamp, random::Random};
use zeroize::Zeroizing;

use super::Keys;
use crate::{
    domain::{audit::Event, refresh_token::KeyVersion, session::Device},
    keys::{
        Sealing,
        refresh_keys::{RefreshKey, RefreshKeys},
        seal::{CannotOpen, Sealer},
    },
    ops::{
        error::{Fault, KeysError},
        operator::by_whom,
        watch::barrier::Revoked,
    },
    store::{Store, refresh_keys::SealedRefreshKey},
};

/// A new key signs only so long after it was added. By then every process on this database has read it, or can't read
/// the database at all.
const LEAD: Duration = Duration::from_secs(10);

/// A key, as an operator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its version, which its tokens name.
    pub version: KeyVersion,
    /// The instant from which it signs new tokens, until a newer key does.
    pub signs_from: Timestamp,
}

impl From<&SealedRefreshKey> for Listed {
    fn from(key: &SealedRefreshKey) -> Self {
        Self { version: key.version, signs_from: key.signs_from }
    }
}

/// Reads the keys of the database. At the first start, a key is made and stored.
pub async fn read_or_make(
    store: &Store,
    Sealing { sealer, epoch }: &Sealing,
    random: &dyn Random,
    now: Timestamp,
) -> Result<RefreshKeys, KeysError> {
    let mut sealed = store.refresh_keys()?;
    if sealed.is_empty() {
        let first = make(KeyVersion::FIRST, Timestamp::from_unix_millis(0), sealer, random)?;
        sealed = store.add_refresh_key(first, *epoch, now, None).await?;
    }
    opened(&sealed, sealer)
}

impl Keys {
    /// The keys, oldest first.
    pub fn listed_refresh_keys(&self) -> Result<Vec<Listed>, Fault> {
        Ok(self.context.store.refresh_keys()?.iter().map(Listed::from).collect())
    }

    /// Adds a key that signs all new refresh tokens from a little later on, and returns it. A key that was added a moment
    /// ago and does not sign yet is returned instead. Tokens of the older keys stay good until their sessions end.
    ///
    /// # Errors
    /// [`Fault::Store`] when the database fails. [`Fault::Defect`] after 65,535 keys.
    pub async fn replace_refresh_key(&self) -> Result<Listed, Fault> {
        let now = self.context.clock.now();
        let keys = self.context.store.refresh_keys()?;
        let newest = keys.last().ok_or(Fault::Defect("no key for refresh tokens"))?;
        if newest.signs_from > now {
            return Ok(newest.into());
        }
        let version = newest.version.next().ok_or(Fault::Defect("no version left"))?;
        let sealing = self.material.sealing.load_full();
        let key = make(version, now.after(LEAD), &sealing.sealer, &*self.context.random)?;
        let mut why = self.context.audit(Event::RefreshKeyReplaced, &Device::default());
        why.detail = Some(format!("{}: version {version}", by_whom()));
        let keys = self.context.store.add_refresh_key(key, sealing.epoch, now, Some(why)).await?;
        keys.last().map(Listed::from).ok_or(Fault::Defect("no key for refresh tokens"))
    }

    /// Revokes all keys of refresh tokens, and makes a new one that signs at once. Every session ends, since its refresh token
    /// is of a revoked key, and all access tokens are revoked: whoever had a key may have refreshed with it.
    pub(in crate::ops) async fn revoke_refresh_keys(&self) -> Result<Revoked, Fault> {
        let now = self.context.clock.now();
        let newest = self.context.store.refresh_keys()?.last().map(|key| key.version);
        let version = newest.map_or(Some(KeyVersion::FIRST), KeyVersion::next);
        let version = version.ok_or(Fault::Defect("no version left"))?;
        let sealing = self.material.sealing.load_full();
        let key = make(version, Timestamp::from_unix_millis(0), &sealing.sealer, &*self.context.random)?;
        let mut why = self.context.audit(Event::RefreshKeysRevoked, &Device::default());
        why.detail = Some(format!("{}: version {version} is the new key", by_whom()));
        let entry = self.context.store.revoke_refresh_keys(key, sealing.epoch, now, why).await?;
        self.catch_up_with_refresh_keys()?;
        Ok(self.context.applied(&[entry])?)
    }

    /// Reads the keys again if another process has added one.
    pub fn catch_up_with_refresh_keys(&self) -> Result<(), KeysError> {
        let versions = self.context.store.refresh_key_versions()?;
        if !self.material.refresh.load().versions().eq(versions) {
            self.material.refresh.store(Arc::new(opened(
                &self.context.store.refresh_keys()?,
                &self.material.sealing.load().sealer,
            )?));
        }
        Ok(())
    }
}

pub(super) fn make(
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
