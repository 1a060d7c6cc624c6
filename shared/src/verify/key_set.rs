//! The issuer's public keys. An entry that is too weak, of a foreign type or malformed is skipped; the other entries
//! work.

mod roca;

use std::{collections::HashMap, fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse, RSAKeyParameters,
};
use serde::Deserialize;
use serde_json::Value;

use crate::verify::{Kid, epoch::Epoch};

/// The only accepted public exponent: 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// An RSA public key, parsed once.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    modulus: Box<[u8]>,
}

impl PublicKey {
    /// Makes a key of a big-endian modulus and the exponent 65537. `None` unless the modulus has 2048 to 8192 bits and is
    /// odd, and when it is known to be weak: it was made by the faulty library of CVE-2017-15361 (ROCA).
    #[must_use]
    pub fn from_modulus(modulus: &[u8]) -> Option<Self> {
        let first = modulus.iter().position(|&byte| byte != 0)?;
        let modulus = &modulus[first..];
        let bits = modulus.len() * 8 - modulus[0].leading_zeros() as usize;
        let is_odd = modulus.last().is_some_and(|last| last % 2 == 1);
        if !(2048..=8192).contains(&bits) || !is_odd || roca::has_mark(modulus) {
            return None;
        }
        let components = RsaPublicKeyComponents { n: modulus, e: &EXPONENT[..] };
        let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        Some(Self { key, modulus: modulus.into() })
    }

    /// Whether this key made `signature` over `message` by RSASSA-PKCS1-v1_5 with SHA-256, that is `RS256` (RFC 7518
    /// §3.3). The algorithm belongs to the key and cannot be chosen.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// Parses a key of a published set. `None` when RS256 cannot be verified with it.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
            || !matches!(common.key_algorithm, None | Some(KeyAlgorithm::RS256))
            || !common.key_operations.as_ref().is_none_or(|allowed| allowed.contains(&KeyOperations::Verify))
        {
            return None;
        }
        let AlgorithmParameters::RSA(RSAKeyParameters { n, e, .. }) = &jwk.algorithm else { return None };
        if URL_SAFE_NO_PAD.decode(e).ok()? != EXPONENT {
            return None;
        }
        Self::from_modulus(&URL_SAFE_NO_PAD.decode(n).ok()?)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bits)", self.modulus.len() * 8)
    }
}

/// Public keys by `kid`.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: HashMap<Kid, PublicKey>,
    source: Option<Source>,
    epoch: Epoch,
}

/// The JSON text that a set was parsed from, and its version.
#[derive(Clone, Debug)]
struct Source {
    json: Arc<str>,
    version: Box<str>,
}

/// The bytes are not a usable key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeySet {
    /// The text is not a JSON object with an array `keys`.
    #[error("not a JSON object with an array of keys")]
    Json,
    /// The set has no key for RS256.
    #[error("no usable key in it")]
    Empty,
}

impl KeySet {
    /// Parses a JWK set (RFC 7517 §5). Unusable entries are skipped. Two different keys with one `kid` are both
    /// skipped, because the `kid` then identifies neither.
    ///
    /// # Errors
    /// [`InvalidKeySet::Json`] when `json` is not a JWK set, [`InvalidKeySet::Empty`] when no entry is usable.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidKeySet> {
        #[derive(Deserialize)]
        struct Entries {
            keys: Vec<Value>,
        }

        let entries: Entries = serde_json::from_slice(json).map_err(|_| InvalidKeySet::Json)?;
        let mut set: Self = entries.keys.into_iter().filter_map(usable).collect();
        set.source = str::from_utf8(json).ok().map(|text| Source {
            json: text.into(),
            version: URL_SAFE_NO_PAD.encode(digest(&SHA256, json)).into(),
        });
        if set.keys.is_empty() { Err(InvalidKeySet::Empty) } else { Ok(set) }
    }

    /// The version of the set, as the issuer names it: the base64url SHA-256 of its JSON text. `None` when the set was
    /// not parsed from JSON.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.source.as_ref().map(|source| &*source.version)
    }

    /// The JSON text of the set. `None` when the set was not parsed from JSON.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.source.as_ref().map(|source| &*source.json)
    }

    /// Epoch of this set. A clone has the same epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The key with this `kid`.
    #[must_use]
    pub fn key(&self, kid: &Kid) -> Option<&PublicKey> {
        self.keys.get(kid)
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Default for KeySet {
    /// A set without keys.
    fn default() -> Self {
        Self { keys: HashMap::new(), source: None, epoch: Epoch::fresh() }
    }
}

impl FromIterator<(Kid, PublicKey)> for KeySet {
    fn from_iter<I: IntoIterator<Item = (Kid, PublicKey)>>(entries: I) -> Self {
        let mut keys: HashMap<Kid, Option<PublicKey>> = HashMap::new();
        for (kid, key) in entries {
            keys.entry(kid)
                .and_modify(|held| {
                    if held.as_ref().is_some_and(|held| held.modulus != key.modulus) {
                        *held = None;
                    }
                })
                .or_insert(Some(key));
        }
        let keys = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        Self { keys, source: None, epoch: Epoch::fresh() }
    }
}

/// The `kid` and the key of a usable entry. An entry with a private exponent is not usable: every reader of the set
/// could sign with it.
fn usable(entry: Value) -> Option<(Kid, PublicKey)> {
    if entry.get("d").is_some() {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(entry).ok()?;
    let key = PublicKey::from_jwk(&jwk)?;
    let kid = jwk.common.key_id?.parse().ok()?;
    Some((kid, key))
}

#[cfg(test)]
mod tests;
