//! The signing keys at start: read, or made when this is the first start. What becomes of them later is in
//! [`rotation`](super::rotation).

use std::sync::Arc;

use countermark::{clock::Timestamp, random::Random, verify::Kid};

use crate::{
    domain::signing_key::KeyState,
    keys::{
        Sealing,
        master_key::MasterKeyError,
        ring::{KeyRing, NoActiveKey},
        seal::{CannotOpen, Sealer},
        signing_key::{SigningKey, SigningKeyError},
    },
    store::{
        Store, StoreError,
        signing_keys::{NewSigningKey, SealedSigningKey},
    },
};

/// How much nicer than the rest of the process the making of a key is.
const NICENESS: i32 = 10;

/// What the proof of the master key is sealed under, and says.
pub(in crate::ops) const PROOF: &str = "master key";

/// The keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key is not the one that they were sealed with.
    #[error("the keys in the database are {0}; is AUTH_MASTER_KEY_FILE the one that it was made with?")]
    Sealed(#[from] CannotOpen),
    /// The master key can't be had.
    #[error("the master key {0}")]
    MasterKey(#[from] MasterKeyError),
    /// A key is damaged, or can't be made.
    #[error(transparent)]
    Signing(#[from] SigningKeyError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Random(#[from] countermark::random::Unavailable),
    /// The ring is empty, which can't be.
    #[error("there is no key in the database")]
    None,
}

impl From<NoActiveKey> for KeysError {
    fn from(_: NoActiveKey) -> Self {
        Self::None
    }
}

/// What seals the keys of the database; said there first, when nothing is sealed yet.
///
/// # Errors
/// [`KeysError::Sealed`] when they are sealed with another master key.
pub async fn sealing(store: &Store, sealer: Sealer, random: &dyn Random) -> Result<Sealing, KeysError> {
    let there = if let Some(there) = store.sealing()? {
        there
    } else {
        // A database of a version that said nothing: what it holds has to open.
        for key in store.signing_keys()? {
            sealer.open(&name(&key.kid), &key.sealed)?;
        }
        store.begin_sealing(sealer.seal(PROOF, PROOF.as_bytes(), random)?).await?
    };
    sealer.open(PROOF, &there.proof)?;
    Ok(Sealing { sealer, epoch: there.epoch })
}

/// The key ring: the signing keys of the database, or a new one that is put there first.
///
/// # Errors
/// [`KeysError`] when it can't be had.
pub async fn signing_ring(
    store: &Store,
    sealing: &Sealing,
    random: &dyn Random,
    now: Timestamp,
) -> Result<KeyRing, KeysError> {
    let mut keys = store.signing_keys()?;
    if keys.is_empty() {
        keys = store.add_first_signing_key(make(sealing, random).await?, now).await?;
    }
    let (keys, active) = opened(&keys, sealing, |_| None)?;
    Ok(KeyRing::new(keys, active)?)
}

/// A new key, made on a thread of lower priority.
pub(in crate::ops) async fn make(sealing: &Sealing, random: &dyn Random) -> Result<NewSigningKey, KeysError> {
    let made = tokio::task::spawn_blocking(|| {
        std::thread::Builder::new().name("key".to_owned()).spawn(generate).ok()?.join().ok()
    });
    let made = made.await.ok().flatten().ok_or(KeysError::None)??;
    let sealed = sealing.sealer.seal(&name(made.kid()), &made.to_pkcs8()?, random)?;
    Ok(NewSigningKey { kid: made.kid().clone(), sealed, epoch: sealing.epoch })
}

fn generate() -> Result<SigningKey, SigningKeyError> {
    // On Linux a priority is a thread's own, and this thread makes one key. Where it can't be lowered, that competes on
    // equal terms.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    SigningKey::generate()
}

/// Those keys, opened unless they are `held`, and the place of the one that signs.
pub(in crate::ops) fn opened(
    keys: &[SealedSigningKey],
    Sealing { sealer, .. }: &Sealing,
    held: impl Fn(&Kid) -> Option<Arc<SigningKey>>,
) -> Result<(Vec<Arc<SigningKey>>, usize), KeysError> {
    let open = |key: &SealedSigningKey| match held(&key.kid) {
        Some(held) => Ok(held),
        None => Ok(Arc::new(SigningKey::from_pkcs8(&sealer.open(&name(&key.kid), &key.sealed)?)?)),
    };
    let active = keys.iter().position(|key| key.times.state() == KeyState::Active).ok_or(KeysError::None)?;
    Ok((keys.iter().map(open).collect::<Result<_, KeysError>>()?, active))
}

pub(in crate::ops) fn name(kid: &Kid) -> String {
    format!("signing key {kid}")
}
