//! Encryption at rest: AES-256-GCM under a key that is derived from the master key (HKDF, RFC 5869).
//!
//! Each secret is sealed under a name, and opens only under the same name. So rows of the database can't be swapped.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use countermark::random::{Random, Unavailable};
use zeroize::Zeroizing;

use super::master_key::MasterKey;

/// Seals and opens secrets.
pub struct Sealer(LessSafeKey);

/// A sealed secret can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another master key, or damaged")]
pub struct CannotOpen;

impl Sealer {
    /// A sealer with a key that is derived from `master`.
    ///
    /// # Errors
    /// [`CannotOpen`] when the crypto library fails, which does not happen with these parameters.
    pub fn new(master: &MasterKey) -> Result<Self, CannotOpen> {
        let secret = Salt::new(HKDF_SHA256, b"tessera").extract(master.as_bytes());
        let key = secret.expand(&[b"seal at rest"], &AES_256_GCM).map_err(|_| CannotOpen)?;
        Ok(Self(LessSafeKey::new(UnboundKey::from(key))))
    }

    /// Seals `secret` under `name`. The result is nonce ‖ ciphertext ‖ tag.
    pub fn seal(&self, name: &str, secret: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unavailable> {
        let nonce: [u8; NONCE_LEN] = random.bytes()?;
        let mut sealed = Zeroizing::new(secret.to_vec());
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut *sealed,
            )
            .map_err(|_| Unavailable)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens a secret that was sealed under `name`.
    ///
    /// # Errors
    /// [`CannotOpen`] when it was sealed under another name or another master key, or is damaged.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        let mut opened = Zeroizing::new(ciphertext.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .0
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut opened)
            .map_err(|_| CannotOpen)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use countermark::random::SystemRandom;

    use super::*;

    #[test]
    fn a_secret_opens_only_under_its_name_and_master_key() {
        let sealer = |byte| Sealer::new(&MasterKey::from_bytes([byte; 32])).unwrap();
        let sealed = sealer(1).seal("a", b"secret", &SystemRandom).unwrap();
        assert_eq!(&**sealer(1).open("a", &sealed).unwrap(), b"secret");
        assert_eq!(sealer(1).open("b", &sealed), Err(CannotOpen));
        assert_eq!(sealer(2).open("a", &sealed), Err(CannotOpen));
        assert_eq!(sealer(1).open("a", &sealed[..10]), Err(CannotOpen));
    }
}
