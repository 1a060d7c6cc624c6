//! Remembers verified tokens: the fact that their signature is valid, and their claims. The verifier checks issuer,
//! audience, times and revocation again for each request.
//!
//! Only tokens that passed every check get in, so an attacker cannot fill the cache with garbage. The cache is bounded
//! in bytes. The least recently used tokens leave first, approximately: each shard has a young and an old generation. A
//! hit moves a token to the young generation. When the young generation is full it becomes the old one, and the former
//! old one is dropped.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    mem,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use serde_json::{Map, Value};

use super::{AnyAge, Claims, Signed, TokenError, Verifier};
use crate::{
    clock::Timestamp,
    verify::{
        KeySet, Revocations,
        epoch::Epoch,
        sync::{AtomicU64, Mutex},
    },
};

/// Number of shards. Threads that verify different tokens seldom wait for the same lock.
const SHARDS: usize = 16;

/// Bytes that an entry takes beside its token and claims: the entry itself, and its slot in a half-full map.
const ENTRY_BYTES: usize = mem::size_of::<Held>() + mem::size_of::<Claims>() + 128;

/// Cache of verified tokens. Several verifiers may share one, even with different issuers, audiences, keys and
/// revocations.
pub struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
    /// Largest size of one generation of one shard, in bytes.
    generation_bytes: usize,
}

#[derive(Default)]
struct Shard {
    young: Generation,
    young_bytes: usize,
    old: Generation,
}

type Generation = HashMap<Tail, Arc<Held>, BuildHasherDefault<Folded>>;

/// The last 16 bytes of a token. They belong to the signature, which only the issuer can make. They only find the slot:
/// two tokens are equal only if all their bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tail(u128);

/// A token whose signature a key set has verified.
#[derive(Debug)]
struct Held {
    token: Box<str>,
    signed: Signed,
    keys: Epoch,
    /// Epoch of the revocations at the last look-up that did not find this token.
    not_revoked_at: AtomicU64,
    bytes: usize,
}

impl TokenCache {
    /// Default size: 16 MiB.
    pub const DEFAULT_BYTES: usize = 16 * 1024 * 1024;

    /// Makes a cache of at most `bytes` bytes. With 0 it remembers nothing.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, generation_bytes: bytes / SHARDS / 2 }
    }

    /// Same result as [`Verifier::verify_any_age`], but cheaper when the cache knows `token`.
    ///
    /// # Errors
    /// The errors of [`Verifier::verify_any_age`].
    pub fn verify_any_age(
        &self,
        verifier: &Verifier,
        token: &str,
        keys: &KeySet,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<AnyAge, TokenError> {
        self.verify(verifier, token, keys.epoch(), revocations, now, || Signed::read(token, keys))
    }

    fn verify(
        &self,
        verifier: &Verifier,
        token: &str,
        keys: Epoch,
        revocations: &Revocations,
        now: Timestamp,
        read: impl FnOnce() -> Result<Signed, TokenError>,
    ) -> Result<AnyAge, TokenError> {
        if let Some(held) = self.held(token, keys) {
            return verifier.check(&held.signed, now, || held.is_revoked(revocations));
        }
        let held = Held::new(token, keys, read()?);
        let verdict = verifier.check(&held.signed, now, || held.is_revoked(revocations))?;
        if matches!(verdict, AnyAge::Live(_)) {
            self.insert(held);
        }
        Ok(verdict)
    }

    /// The cached entry of `token`, if its signature was verified with the key set of epoch `keys`.
    fn held(&self, token: &str, keys: Epoch) -> Option<Arc<Held>> {
        let tail = Tail::of(token)?;
        let held = self.shard(tail)?.lock().unwrap_or_else(PoisonError::into_inner).held(tail, self)?;
        (held.keys == keys && *held.token == *token).then_some(held)
    }

    fn insert(&self, held: Held) {
        let Some(tail) = Tail::of(&held.token).filter(|_| held.bytes <= self.generation_bytes) else {
            return;
        };
        let Some(shard) = self.shard(tail) else { return };
        // The evicted entries are freed after the lock is released.
        let gone = shard.lock().unwrap_or_else(PoisonError::into_inner).insert(tail, Arc::new(held), self);
        drop(gone);
    }

    fn shard(&self, tail: Tail) -> Option<&Mutex<Shard>> {
        // Uses bits that the maps inside a shard do not use.
        self.shards.get((tail.folded() >> 40) as usize % SHARDS)
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BYTES)
    }
}

impl fmt::Debug for TokenCache {
    /// Leaves the tokens out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("generation_bytes", &self.generation_bytes).finish_non_exhaustive()
    }
}

impl Shard {
    fn held(&mut self, tail: Tail, cache: &TokenCache) -> Option<Arc<Held>> {
        if let Some(held) = self.young.get(&tail) {
            return Some(Arc::clone(held));
        }
        let held = self.old.remove(&tail)?;
        drop(self.insert(tail, Arc::clone(&held), cache));
        Some(held)
    }

    /// Adds a token and returns the evicted generation. The caller drops it, outside the lock.
    fn insert(&mut self, tail: Tail, held: Arc<Held>, cache: &TokenCache) -> Generation {
        let mut gone = Generation::default();
        if self.young_bytes + held.bytes > cache.generation_bytes {
            gone = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.young_bytes = 0;
        }
        self.young_bytes += held.bytes;
        match self.young.entry(tail) {
            Entry::Occupied(mut place) => self.young_bytes -= place.insert(held).bytes,
            Entry::Vacant(place) => drop(place.insert(held)),
        }
        gone
    }
}

impl Held {
    fn new(token: &str, keys: Epoch, signed: Signed) -> Self {
        let bytes = ENTRY_BYTES + token.len() + signed.kid().as_str().len() + heap_bytes(signed.claims());
        let not_revoked_at = AtomicU64::new(Epoch::NONE.number());
        Self { token: token.into(), signed, keys, not_revoked_at, bytes }
    }

    /// Whether the token is revoked. The set is asked only if it has changed since the last look-up.
    fn is_revoked(&self, revocations: &Revocations) -> bool {
        // The epoch is read before the set. A revocation that is added during the look-up then has a later epoch.
        let epoch = revocations.epoch();
        if self.not_revoked_at.load(Ordering::Acquire) == epoch {
            return false;
        }
        let is_revoked = revocations.read(|set| set.revokes(&self.signed));
        if !is_revoked {
            self.not_revoked_at.store(epoch, Ordering::Release);
        }
        is_revoked
    }
}

impl Tail {
    fn of(token: &str) -> Option<Self> {
        token.as_bytes().last_chunk().map(|tail| Self(u128::from_le_bytes(*tail)))
    }

    /// Folds 128 bits to 64. Base64 spreads 96 random bits over the 128.
    #[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart and folded")]
    const fn folded(self) -> u64 {
        let (low, high) = (self.0 as u64, (self.0 >> 64) as u64);
        let product = (low ^ 0x9E37_79B9_7F4A_7C15) as u128 * (high ^ 0xD1B5_4A32_D192_ED03) as u128;
        product as u64 ^ (product >> 64) as u64
    }
}

/// Hashes a [`Tail`].
#[derive(Clone, Copy, Debug, Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Never called: a tail is hashed as one `u128`.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = Tail(bits).folded();
    }
}

/// Bytes that the claims take on the heap, with allocations rounded up.
fn heap_bytes(claims: &Claims) -> usize {
    let text = |text: &str| text.len() + 16;
    let opaque = |text: Option<&super::Opaque>| text.map_or(0, |opaque| opaque.as_str().len() + 16);
    let texts =
        |list: &[String]| list.iter().map(|item| text(item) + mem::size_of::<String>()).sum::<usize>();
    text(claims.iss.as_str())
        + text(claims.sub.as_str())
        + claims.aud.iter().map(|audience| text(audience.as_str()) + mem::size_of::<String>()).sum::<usize>()
        + opaque(claims.jti.as_ref())
        + opaque(claims.client_id.as_ref())
        + opaque(claims.sid.as_ref())
        + claims.scope.iter().map(|word| text(word) + mem::size_of::<Box<str>>()).sum::<usize>()
        + texts(&claims.roles)
        + texts(&claims.amr)
        + claims.email.as_deref().map_or(0, text)
        + claims.csrf.as_deref().map_or(0, text)
        + members_bytes(&claims.custom)
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + 16,
        Value::Array(items) => {
            items.capacity() * mem::size_of::<Value>() + items.iter().map(value_bytes).sum::<usize>()
        }
        Value::Object(members) => members_bytes(members),
    }
}

/// Bytes of a B-tree map. A node has space for 11 members, and every node but the root holds at least 5.
fn members_bytes(members: &Map<String, Value>) -> usize {
    const NODE: usize = 11 * (mem::size_of::<String>() + mem::size_of::<Value>()) + 32;
    let nodes = if members.is_empty() { 0 } else { 1 + members.len() / 5 };
    nodes * NODE + members.iter().map(|(name, value)| name.len() + 16 + value_bytes(value)).sum::<usize>()
}

#[cfg(all(loom, test))]
mod models;
#[cfg(test)]
mod tests;
