//! The signing keys at start: read, or made when this is the first start.

use shared::{clock::Timestamp, random::Random};

use crate::{
    keys::{
        ring::KeyRing,
        seal::{CannotOpen, Sealer},
        signing_key::{SigningKey, SigningKeyError},
    },
    store::{Store, StoreError, keys::SealedSigningKey},
};

/// The keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key is not the one that they were sealed with.
    #[error("the keys in the database are {0}; is AUTH_MASTER_KEY_FILE the one that it was made with?")]
    Sealed(#[from] CannotOpen),
    /// A key is damaged, or can't be made.
    #[error(transparent)]
    Signing(#[from] SigningKeyError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Random(#[from] shared::random::Unavailable),
    /// The ring is empty, which can't be.
    #[error("there is no key in the database")]
    None,
}

/// The key ring: the signing key of the database, or a new one that is put there first.
///
/// # Errors
/// [`KeysError`] when it can't be had.
pub async fn signing_ring(
    store: &Store,
    sealer: &Sealer,
    random: &dyn Random,
    now: Timestamp,
) -> Result<KeyRing, KeysError> {
    let mut keys = store.signing_keys()?;
    if keys.is_empty() {
        let made = tokio::task::spawn_blocking(SigningKey::generate).await.map_err(|_| KeysError::None)??;
        let sealed = sealer.seal(&signing_name(made.kid()), &made.to_pkcs8()?, random)?;
        keys =
            store.add_first_signing_key(SealedSigningKey { kid: made.kid().to_owned(), sealed }, now).await?;
    }
    let newest = keys.last().ok_or(KeysError::None)?;
    let document = sealer.open(&signing_name(&newest.kid), &newest.sealed)?;
    KeyRing::new(SigningKey::from_pkcs8(&document)?).map_err(|_| KeysError::None)
}

fn signing_name(kid: &str) -> String {
    format!("signing key {kid}")
}
