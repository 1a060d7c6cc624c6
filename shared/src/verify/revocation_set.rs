//! The set of revocations. Each request asks it; an answer is a few look-ups and never waits for I/O.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

#[cfg(feature = "watch")]
use super::revocation::UnnamedEntry;
use super::{
    Entry, Revocation,
    fingerprint::{BuildAsItIs, Fingerprint, Kind},
};
use crate::{
    clock::Timestamp,
    verify::{
        Kid, Signed,
        claims::NumericDate,
        epoch::Epoch,
        sync::{AtomicU64, RwLock},
    },
};

/// Number of slices. Each slice has a map of its own. With a million revocations each map stays small, so growing or
/// sweeping one does not delay requests.
const SLICES: usize = 256;

/// Bytes of one subject in a bundle: a fingerprint and two instants.
#[cfg(feature = "watch")]
pub(crate) const RECORD_BYTES: usize = 32;

/// An instant later than any token.
const NEVER: NumericDate = NumericDate::from_unix_seconds(i64::MAX);

type Slice = HashMap<Fingerprint, Held, BuildAsItIs>;

/// The revocations in force.
#[derive(Clone, Debug)]
pub struct RevocationSet {
    slices: Box<[Slice]>,
    keys: HashSet<Kid>,
    everything: Option<NumericDate>,
}

/// The revocation of one subject.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Tokens minted at or before this instant are revoked.
    up_to: NumericDate,
    /// Instant after which no living token can match, by the issuer's clock.
    expires_at: NumericDate,
}

impl Default for RevocationSet {
    fn default() -> Self {
        let slices = (0..SLICES).map(|_| Slice::default()).collect();
        Self { slices, keys: HashSet::new(), everything: None }
    }
}

impl RevocationSet {
    /// Adds an entry. Two entries for one subject merge: the later instant and the later expiry apply.
    pub fn add(&mut self, entry: impl Into<Entry>) {
        let Entry { revocation, expires_at } = entry.into();
        match revocation {
            Revocation::Key(kid) => {
                self.keys.insert(kid);
            }
            Revocation::Everything(at) => self.everything = self.everything.max(Some(at)),
            subject => {
                let Some((fingerprint, up_to)) = subject_of(&subject) else { return };
                self.hold(fingerprint, Held { up_to, expires_at: expires_at.unwrap_or(NEVER) });
            }
        }
    }

    /// Adds the entry of a subject that is not named.
    #[cfg(feature = "watch")]
    pub(crate) fn add_unnamed(&mut self, entry: &UnnamedEntry) {
        let UnnamedEntry { fingerprint, up_to, expires_at } = entry;
        let added = Held { up_to: up_to.unwrap_or(NEVER), expires_at: expires_at.unwrap_or(NEVER) };
        self.hold(Fingerprint::from_bytes(*fingerprint), added);
    }

    fn hold(&mut self, fingerprint: Fingerprint, added: Held) {
        let held = self.slices[fingerprint.slice()].entry(fingerprint).or_insert(added);
        held.up_to = held.up_to.max(added.up_to);
        held.expires_at = held.expires_at.max(added.expires_at);
    }

    /// Removes an entry that no living token can match any more. An entry with a later instant for the same subject
    /// stays.
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

    /// Whether `token` is revoked. A token without `iat` is matched by every entry with an instant.
    #[must_use]
    pub fn revokes(&self, token: &Signed) -> bool {
        let iat = token.claims().iat.unwrap_or(NumericDate::from_unix_seconds(0));
        self.everything.is_some_and(|at| iat <= at)
            || (!self.keys.is_empty() && self.keys.contains(token.kid()))
            || token.subjects().iter().any(|subject| self.held(subject).is_some_and(|held| iat <= held.up_to))
    }

    /// The latest instant up to which tokens of this account and this client are revoked. The issuer mints only later
    /// ones.
    #[must_use]
    pub fn revoked_up_to(&self, account: &str, client: &str) -> Option<NumericDate> {
        let held = |kind, subject| self.held(Fingerprint::of(kind, subject)).map(|held| held.up_to);
        let subjects = [held(Kind::Account, account), held(Kind::Client, client), self.everything];
        subjects.into_iter().flatten().max()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        let subjects: usize = self.slices.iter().map(HashMap::len).sum();
        subjects + self.keys.len() + usize::from(self.everything.is_some())
    }

    /// Whether the set has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with the record of every subject: [`RECORD_BYTES`] bytes each.
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

    /// The revoked keys, by `kid`.
    #[cfg(feature = "watch")]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(Kid::as_str)
    }

    /// Instant up to which all tokens are revoked, in seconds since 1970.
    #[cfg(feature = "watch")]
    pub(crate) fn everything(&self) -> Option<i64> {
        self.everything.map(NumericDate::unix_seconds)
    }

    /// Rebuilds a set from its records. `None` when a record or a `kid` is malformed.
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

    /// Removes the entries of one slice that expired at or before `then`.
    fn sweep(&mut self, slice: usize, then: NumericDate) {
        let slice = &mut self.slices[slice];
        slice.retain(|_, held| held.expires_at > then);
        // Returns the memory that a large number of former revocations used.
        if slice.len() < slice.capacity() / 4 {
            slice.shrink_to_fit();
        }
    }
}

/// A shared revocation set. One task changes it while requests read it. The lock is held for look-ups only.
#[derive(Debug)]
pub struct Revocations {
    set: RwLock<RevocationSet>,
    /// Epoch of the set.
    epoch: AtomicU64,
}

impl Default for Revocations {
    fn default() -> Self {
        Self { set: RwLock::default(), epoch: AtomicU64::new(Epoch::fresh().number()) }
    }
}

impl Revocations {
    /// Reads the set under its lock.
    pub fn read<T>(&self, ask: impl FnOnce(&RevocationSet) -> T) -> T {
        ask(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the set. After it returns, every look-up sees the change.
    pub fn change(&self, change: impl FnOnce(&mut RevocationSet)) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut set);
        // The epoch is stored after the change, so a reader of the new epoch sees the change. It is stored under the
        // lock, so epochs have the order of the changes.
        self.epoch.store(Epoch::fresh().number(), Ordering::SeqCst);
    }

    /// Adds entries in parts of 256. A request waits for one part at most. After it returns, every look-up sees all
    /// entries.
    pub fn extend(&self, entries: impl IntoIterator<Item = Entry>) {
        self.extend_with(entries, RevocationSet::add);
    }

    /// Adds each of `entries` by `add`, in such parts.
    pub(crate) fn extend_with<E>(
        &self,
        entries: impl IntoIterator<Item = E>,
        add: impl Fn(&mut RevocationSet, E),
    ) {
        const PART: usize = 256;
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            self.change(|set| entries.by_ref().take(PART).for_each(|entry| add(set, entry)));
        }
    }

    /// Copies the set slice by slice. A change waits for one slice at most. A change made during the copy may or may
    /// not be in it.
    #[cfg(feature = "watch")]
    pub(crate) fn copied(&self) -> RevocationSet {
        let slices = (0..SLICES).map(|slice| self.read(|set| set.slices[slice].clone())).collect();
        // Keys are copied last. Entries that were added during the copy may be in it; entries from before are in it.
        self.read(|set| RevocationSet { slices, keys: set.keys.clone(), everything: set.everything })
    }

    /// Removes entries that expired at least `leeway` before `now`. A request waits for one slice at most.
    pub fn forget_expired(&self, now: Timestamp, leeway: Duration) {
        let then = NumericDate::from_unix_seconds(now.before(leeway).unix_seconds());
        for slice in 0..SLICES {
            self.set.write().unwrap_or_else(PoisonError::into_inner).sweep(slice, then);
        }
    }

    /// Number of the set's epoch. It changes after every change of the set. Read it before the set.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
}

/// The fingerprint of a revocation's subject: 16 bytes. With the instant up to which its tokens are revoked, if it has one.
/// `None` for a revocation without a subject.
#[cfg(feature = "wire")]
pub(crate) fn fingerprint_of(revocation: &Revocation) -> Option<([u8; 16], Option<NumericDate>)> {
    let (fingerprint, up_to) = subject_of(revocation)?;
    Some((fingerprint.to_bytes(), Some(up_to).filter(|up_to| *up_to != NEVER)))
}

/// The subject of a revocation, and the instant up to which its tokens are revoked. `None` for a revocation without a
/// subject.
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
