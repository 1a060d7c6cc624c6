//! The set of what is revoked: asked for each request, so that a question is a few look-ups and never a wait.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use super::{
    Entry, Revocation,
    fingerprint::{BuildAsItIs, Fingerprint, Kind},
};
use crate::{
    clock::Timestamp,
    verify::{
        Opaque, Signed,
        claims::NumericDate,
        epoch::Epoch,
        sync::{AtomicU64, RwLock},
    },
};

/// In how many maps the subjects lie. None of them is so large, with a million revocations, that growing or sweeping it
/// keeps requests waiting.
const SLICES: usize = 256;

/// What one subject takes in a bundle: its fingerprint, and two instants.
#[cfg(feature = "watch")]
pub(crate) const RECORD_BYTES: usize = 32;

/// The end of all time.
const NEVER: NumericDate = NumericDate::from_unix_seconds(i64::MAX);

type Slice = HashMap<Fingerprint, Held, BuildAsItIs>;

/// What is revoked.
#[derive(Clone, Debug)]
pub struct RevocationSet {
    slices: Box<[Slice]>,
    keys: HashSet<Opaque>,
    everything: Option<NumericDate>,
}

/// What is held against one subject.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Tokens minted up to then are revoked.
    up_to: NumericDate,
    /// When no living token can match any more, by the issuer's clock.
    expires_at: NumericDate,
}

impl Default for RevocationSet {
    fn default() -> Self {
        let slices = (0..SLICES).map(|_| Slice::default()).collect();
        Self { slices, keys: HashSet::new(), everything: None }
    }
}

impl RevocationSet {
    /// Adds an entry. Of two for one subject the later holds, in each respect.
    pub fn add(&mut self, entry: impl Into<Entry>) {
        let Entry { revocation, expires_at } = entry.into();
        match revocation {
            Revocation::Key(kid) => {
                self.keys.insert(kid);
            }
            Revocation::Everything(at) => self.everything = self.everything.max(Some(at)),
            subject => {
                let Some((fingerprint, up_to)) = subject_of(&subject) else { return };
                let added = Held { up_to, expires_at: expires_at.unwrap_or(NEVER) };
                let held = self.slices[fingerprint.slice()].entry(fingerprint).or_insert(added);
                held.up_to = held.up_to.max(added.up_to);
                held.expires_at = held.expires_at.max(added.expires_at);
            }
        }
    }

    /// Takes an entry away that no living token can match any more. A later *before* entry for the same subject stays.
    pub fn forget(&mut self, revocation: &Revocation) {
        match revocation {
            Revocation::Key(kid) => {
                self.keys.remove(kid);
            }
            Revocation::Everything(at) => self.everything = self.everything.filter(|held| held > at),
            subject => {
                let Some((fingerprint, up_to)) = subject_of(subject) else { return };
                let slice = &mut self.slices[fingerprint.slice()];
                if slice.get(&fingerprint).is_some_and(|held| held.up_to <= up_to) {
                    slice.remove(&fingerprint);
                }
            }
        }
    }

    /// Whether that token is revoked. One that doesn't say when it was minted is matched by every *before* entry.
    #[must_use]
    pub fn revokes(&self, token: &Signed) -> bool {
        let iat = token.claims().iat.unwrap_or(NumericDate::from_unix_seconds(0));
        self.everything.is_some_and(|at| iat <= at)
            || (!self.keys.is_empty() && self.keys.contains(token.kid()))
            || token.subjects().iter().any(|subject| self.held(subject).is_some_and(|held| iat <= held.up_to))
    }

    /// The latest instant up to which tokens of that account and client are revoked: the issuer mints later ones only.
    #[must_use]
    pub fn revoked_up_to(&self, account: &str, client: &str) -> Option<NumericDate> {
        let held = |kind, subject| self.held(Fingerprint::of(kind, subject)).map(|held| held.up_to);
        let subjects = [held(Kind::Account, account), held(Kind::Client, client), self.everything];
        subjects.into_iter().flatten().max()
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        let subjects: usize = self.slices.iter().map(HashMap::len).sum();
        subjects + self.keys.len() + usize::from(self.everything.is_some())
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is held against every subject, [`RECORD_BYTES`] each.
    #[cfg(feature = "watch")]
    pub(crate) fn records(&self, mut each: impl FnMut(&[u8; RECORD_BYTES])) {
        for (fingerprint, held) in self.slices.iter().flatten() {
            let mut record = [0; RECORD_BYTES];
            record[..16].copy_from_slice(&fingerprint.to_bytes());
            record[16..24].copy_from_slice(&held.up_to.unix_seconds().to_be_bytes());
            record[24..].copy_from_slice(&held.expires_at.unix_seconds().to_be_bytes());
            each(&record);
        }
    }

    /// The keys that are revoked.
    #[cfg(feature = "watch")]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(Opaque::as_str)
    }

    /// Up to when all tokens are revoked, in seconds since 1970.
    #[cfg(feature = "watch")]
    pub(crate) fn everything(&self) -> Option<i64> {
        self.everything.map(NumericDate::unix_seconds)
    }

    /// A set of such records; `None` when they are none.
    #[cfg(feature = "watch")]
    pub(crate) fn restored(records: &[u8], keys: Vec<String>, everything: Option<i64>) -> Option<Self> {
        let mut set = Self { everything: everything.map(NumericDate::from_unix_seconds), ..Self::default() };
        for kid in keys {
            set.keys.insert(kid.parse().ok()?);
        }
        let (records, rest) = records.as_chunks::<RECORD_BYTES>();
        for record in records {
            let seconds = |from: usize| {
                let bytes = record[from..].first_chunk()?;
                Some(NumericDate::from_unix_seconds(i64::from_be_bytes(*bytes)))
            };
            let fingerprint = Fingerprint::from_bytes(*record.first_chunk()?);
            let held = Held { up_to: seconds(16)?, expires_at: seconds(24)? };
            set.slices[fingerprint.slice()].insert(fingerprint, held);
        }
        rest.is_empty().then_some(set)
    }

    fn held(&self, subject: Fingerprint) -> Option<&Held> {
        self.slices[subject.slice()].get(&subject)
    }

    /// Forgets what had expired by `then` among a part of the entries.
    fn sweep(&mut self, slice: usize, then: NumericDate) {
        let slice = &mut self.slices[slice];
        slice.retain(|_, held| held.expires_at > then);
        // What a flood of revocations left behind goes back.
        if slice.len() < slice.capacity() / 4 {
            slice.shrink_to_fit();
        }
    }
}

/// A set that one task changes while requests ask it. Locked for look-ups alone.
#[derive(Debug)]
pub struct Revocations {
    set: RwLock<RevocationSet>,
    /// The epoch of the set.
    epoch: AtomicU64,
}

impl Default for Revocations {
    fn default() -> Self {
        Self { set: RwLock::default(), epoch: AtomicU64::new(Epoch::fresh().number()) }
    }
}

impl Revocations {
    /// Asks the set.
    pub fn read<T>(&self, ask: impl FnOnce(&RevocationSet) -> T) -> T {
        ask(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the set. When it returns, every later look sees the change.
    pub fn change(&self, change: impl FnOnce(&mut RevocationSet)) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut set);
        // After the change: who sees the new epoch sees what changed. Within the lock: epochs come in the order of changes.
        self.epoch.store(Epoch::fresh().number(), Ordering::SeqCst);
    }

    /// Adds entries. Requests wait for a part of them at most. When it returns, every later look sees all of them.
    pub fn extend(&self, entries: impl IntoIterator<Item = Entry>) {
        const PART: usize = 256;
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            self.change(|set| entries.by_ref().take(PART).for_each(|entry| set.add(entry)));
        }
    }

    /// A copy of the set. Changes wait for a part of it at most, and may be in it or not.
    #[cfg(feature = "watch")]
    pub(crate) fn copied(&self) -> RevocationSet {
        let slices = (0..SLICES).map(|slice| self.read(|set| set.slices[slice].clone())).collect();
        // Last: what was added meanwhile may be in it, as everything that was there before is.
        self.read(|set| RevocationSet { slices, keys: set.keys.clone(), everything: set.everything })
    }

    /// Forgets entries that had expired more than `leeway` before `now`. Requests wait for a part of the set at most.
    pub fn forget_expired(&self, now: Timestamp, leeway: Duration) {
        let then = NumericDate::from_unix_seconds(now.before(leeway).unix_seconds());
        for slice in 0..SLICES {
            self.set.write().unwrap_or_else(PoisonError::into_inner).sweep(slice, then);
        }
    }

    /// The number of the set's epoch: it changes with every change, after it. To be read before the set is asked.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
}

/// The subject of a revocation that has one, and up to when its tokens are revoked.
fn subject_of(revocation: &Revocation) -> Option<(Fingerprint, NumericDate)> {
    let (kind, subject, up_to) = match revocation {
        Revocation::Token(jti) => (Kind::Token, jti, NEVER),
        Revocation::Session(sid) => (Kind::Session, sid, NEVER),
        Revocation::Client(client, at) => (Kind::Client, client, *at),
        Revocation::Account(account, at) => (Kind::Account, account, *at),
        Revocation::Key(_) | Revocation::Everything(_) => return None,
    };
    Some((Fingerprint::of(kind, subject.as_str()), up_to))
}

#[cfg(test)]
mod tests;
