//! The signing keys at start: they are read, or made at the first start. [`rotation`](super::rotation) has their later
//! life.

use std::sync::Arc;

use countermark::{clock::Timestamp, random::Random, verify::Kid};

use crate::{
    domain::signing_key::KeyState,
    keys::{
        Sealing,
        ring::KeyRing,
        seal::Sealer,
        signing_key::{SigningKey, SigningKeyError},
    },
    ops::error::KeysError,
    store::{
        Store,
        signing_keys::{NewSigningKey, SealedSigningKey},
    },
};

/// The niceness of the thread that makes a key: lower priority than the rest of the process.
const NICENESS: i32 = 10;

/// The name that the proof of the master key is sealed under, and its content.
pub(in crate::ops) const PROOF: &str = "master key";

/// Checks that the keys of the database are sealed with this master key. When nothing is sealed yet, stores the proof
/// that later checks use.
///
/// # Errors
/// [`KeysError::Sealed`] when they are sealed with another master key.
pub async fn sealing(store: &Store, sealer: Sealer, random: &dyn Random) -> Result<Sealing, KeysError> {
    let there = if let Some(there) = store.sealing()? {
        there
    } else {
        // A database of an older version holds no proof. Its keys have to open instead.
        for key in store.signing_keys()? {
            sealer.open(&name(&key.kid), &key.sealed)?;
        }
        store.begin_sealing(sealer.seal(PROOF, PROOF.as_bytes(), random)?).await?
    };
    sealer.open(PROOF, &there.proof)?;
    Ok(Sealing { sealer, epoch: there.epoch })
}

/// The key ring with the signing keys of the database. At the first start, a key is made and stored.
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

/// Makes a key, on a thread of lower priority.
pub(in crate::ops) async fn make(sealing: &Sealing, random: &dyn Random) -> Result<NewSigningKey, KeysError> {
    let made = tokio::task::spawn_blocking(|| {
        std::thread::Builder::new().name("key".to_owned()).spawn(generate).ok()?.join().ok()
    });
    let made = made.await.ok().flatten().ok_or(KeysError::None)??;
    let sealed = sealing.sealer.seal(&name(made.kid()), &made.to_pkcs8()?, random)?;
    Ok(NewSigningKey { kid: made.kid().clone(), sealed, epoch: sealing.epoch })
}

fn generate() -> Result<SigningKey, SigningKeyError> {
    // On Linux each thread has its own priority. Where the priority can't be lowered, the key is made at the normal one.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    SigningKey::generate()
}

/// Opens the keys that are not `held` yet. Also returns the place of the key that signs.
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
