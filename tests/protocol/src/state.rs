//! The state: what is true, what the database holds, what the issuer and the verifiers know, and what is on its way.

use std::hash::{Hash, Hasher};

use smallvec::SmallVec;

use crate::{Bounds, Variant, bounds::Policy};

/// An entry, by its place in the order in which entries were made. Entries of branches that were lost count as well.
pub type EntryId = u8;

/// A search has fewer entries, those of recoveries included. A replay may have [`MOST_ENTRIES`].
pub const ENTRIES: usize = 12;

/// The most entries that an [`EntrySet`] can hold.
pub const MOST_ENTRIES: usize = 128;

/// A search has no more verifiers.
pub const VERIFIERS: usize = 3;

/// A set of entries: the bit `1 << id` of each.
pub type EntrySet = u128;

/// What an entry revokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One token.
    Token(u8),
    /// A token that a clock an hour ahead has minted.
    TokenOfTheFuture,
    /// The signing key, which a thief has.
    Key,
    /// Tokens with a lower number, and those of the future.
    EverythingBefore {
        /// The first token that is not revoked.
        token: u8,
        /// Whether tokens of the future are revoked, too.
        with_future: bool,
    },
}

impl Target {
    /// Whether a verifier that knows `self` refuses what `other` revokes.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::EverythingBefore { token, .. }, Self::Token(other)) => other < token,
            (Self::EverythingBefore { with_future, .. }, Self::TokenOfTheFuture) => with_future,
            (
                Self::EverythingBefore { token, with_future },
                Self::EverythingBefore { token: other, with_future: others },
            ) => other <= token && others <= with_future,
            _ => self == other,
        }
    }
}

/// A position in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The log.
    pub log: u8,
    /// The number of the last entry.
    pub number: u8,
    /// The tag: which entry it is. At the beginning of a log it is [`BEGIN`].
    pub tag: u8,
    /// A tag of content alone. 0 where it isn't looked at.
    pub content: u16,
}

/// The tag at the beginning of a log.
pub const BEGIN: u8 = u8::MAX;

impl Position {
    /// Whether both say the same, as far as positions say anything.
    #[must_use]
    pub fn agrees(self, other: Self, variant: Variant) -> bool {
        self.log == other.log
            && self.number == other.number
            && match variant {
                Variant::WithoutTags => true,
                Variant::TagsOfContent => self.content == other.content,
                _ => self.tag == other.tag,
            }
    }
}

/// A log, as the database or a process holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    /// Its id. A later log has a greater one.
    pub id: u8,
    /// The number at which it begins.
    pub begins_at: u8,
    /// Its entries, the first one with the number after `begins_at`.
    pub entries: SmallVec<[EntryId; ENTRIES]>,
    /// Number of entries that were swept. Their tags are kept.
    pub swept: u8,
}

impl Log {
    /// The number of the last entry.
    #[must_use]
    pub fn head_number(&self) -> u8 {
        self.begins_at + narrow(self.entries.len())
    }

    /// The position at that number, if the log reaches it.
    #[must_use]
    pub fn position(&self, number: u8, made: &[Target], variant: Variant) -> Option<Position> {
        let place = usize::from(number.checked_sub(self.begins_at)?);
        if place > self.entries.len() {
            return None;
        }
        let tag = place.checked_sub(1).map_or(BEGIN, |place| self.entries[place]);
        let content = if variant == Variant::TagsOfContent { self.content(place, made) } else { 0 };
        Some(Position { log: self.id, number, tag, content })
    }

    fn content(&self, entries: usize, made: &[Target]) -> u16 {
        self.entries[..entries].iter().fold(1, |tag: u16, &id| {
            let said = match made[usize::from(id)] {
                Target::Token(token) => 1 + u16::from(token),
                Target::TokenOfTheFuture => 101,
                Target::Key => 102,
                Target::EverythingBefore { token, .. } => 200 + u16::from(token),
            };
            tag.wrapping_mul(251).wrapping_add(said)
        })
    }

    /// The position at its end.
    #[must_use]
    pub fn head(&self, made: &[Target], variant: Variant) -> Position {
        self.position(self.head_number(), made, variant).unwrap_or(Position {
            log: self.id,
            number: self.begins_at,
            tag: BEGIN,
            content: 0,
        })
    }

    /// Whether it has that position, as far as the issuer can tell.
    #[must_use]
    pub fn has(&self, position: Position, made: &[Target], variant: Variant) -> bool {
        let is_known = variant != Variant::SweepsTags || position.number > self.begins_at + self.swept;
        is_known
            && self.position(position.number, made, variant).is_some_and(|own| own.agrees(position, variant))
    }

    /// Whether that entry is one of this log, in truth.
    #[must_use]
    pub fn contains(&self, position: Position) -> bool {
        self.position(position.number, &[], Variant::Whole)
            .is_some_and(|own| (own.log, own.tag) == (position.log, position.tag))
    }
}

/// What the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    /// The log.
    pub log: Log,
    /// How often the session was refreshed.
    pub generation: u8,
    /// Whether every session was ended by a recovery.
    pub has_ended_sessions: bool,
    /// What is known of each verifier that watches.
    pub watchers: SmallVec<[Watcher; VERIFIERS]>,
    /// Whether something has shown that it lost writes.
    pub has_evidence: bool,
    /// Whether a recovery was less than a pause ago.
    pub was_recovered_lately: bool,
    /// Whether the next key is published, and whether `AUTH_JWKS_MAX_AGE` has not passed since.
    pub next_key: NextKey,
}

/// How far the next signing key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextKey {
    /// There is none.
    None,
    /// It is published.
    Published {
        /// Whether a poller may not have it yet.
        lately: bool,
    },
    /// It signs.
    Signs,
}

/// What the issuer knows of a watcher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watcher {
    /// Whether it is known at all.
    pub is_known: bool,
    /// Whether its stream is open, as far as the issuer knows.
    pub is_connected: bool,
    /// Whether it has been silent for longer than its `stale_after`.
    pub is_silent: bool,
    /// What it has acknowledged.
    pub acked: Option<Position>,
    /// Whether it has acknowledged the next key.
    pub has_next_key: bool,
}

/// A verifier and what is on its way to and from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Verifier {
    /// Its policy.
    pub does_deny: bool,
    /// The entries that it has applied.
    pub applied: EntrySet,
    /// Its position. `None` while no log is known.
    pub position: Option<Position>,
    /// Its position, when the issuer has proven it. An older proof isn't kept here, so that there are fewer witnesses.
    pub proof: Option<Position>,
    /// Whether it was current less than its `stale_after` ago.
    pub is_fresh: bool,
    /// Whether it has the next key.
    pub has_next_key: bool,
    /// Whether its stream is open, as far as it knows.
    pub is_streaming: bool,
    /// The last entry that the issuer has sent over the stream, by its number.
    pub sent: u8,
    /// Its acknowledgement, on its way.
    pub ack: Option<Ack>,
    /// What the issuer has sent, in order.
    pub coming: SmallVec<[Message; 8]>,
}

/// An acknowledgement on its way to the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ack {
    /// The position that is acknowledged.
    pub position: Option<Position>,
    /// Whether the next key is acknowledged.
    pub has_next_key: bool,
    /// Whether its nonce was sent less than `stale_after` ago.
    pub is_recent: bool,
    /// Whether it is of a stream that is over.
    pub is_of_old_stream: bool,
}

/// A message on its way to a verifier. A hello and a snapshot take no time: a connection that takes long to open is one that
/// opens late.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Message {
    /// One entry.
    Delta {
        /// The number of the entry before it.
        prev: u8,
        /// Its position.
        at: Position,
    },
    /// An answer to a nonce.
    Heartbeat {
        /// The position up to which everything was sent.
        at: Position,
        /// Whether the nonce was sent less than `stale_after` ago.
        is_recent: bool,
    },
}

/// Something that must never happen, and has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A verifier took another log for the one that it follows.
    pub followed_another_log: bool,
    /// A spent refresh token was good again.
    pub spent_token_lived: bool,
    /// A barrier was complete while a verifier that watches accepted the token.
    pub complete_too_early: bool,
    /// A verifier that refused a token accepts it again.
    pub accepted_again: bool,
    /// A key signs that a verifier lacks which watches.
    pub signed_too_early: bool,
    /// A verifier showed a position that was lost, and nobody noticed.
    pub overlooked_a_witness: bool,
}

/// The state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// What each entry revokes.
    pub made: SmallVec<[Target; ENTRIES]>,
    /// The entries that nobody can know to be lost: the mark went back with the database, and no witness came.
    pub lost_unseen: EntrySet,
    /// The entries whose tokens have expired.
    pub expired: EntrySet,
    /// The verifiers that the database forgot in such a step back, one bit each. They may accept tokens until they are stale.
    pub forgotten_unseen: u8,
    /// Whether the mark went back with the database.
    pub mark_went_back: bool,
    /// The number of revocations so far. A recovery's are not counted.
    pub revocations: u8,
    /// The entries before this one are older than `stale_after`, or a barrier was complete for them. No verifier that refuses when
    /// it is stale may accept what they revoke.
    pub due_below: EntryId,
    /// How often the session was refreshed, in truth.
    pub refreshed: u8,
    /// Whether the database went back, and was not recovered since.
    pub went_back: bool,
    /// Whether the mark says more than the database.
    pub is_behind_mark: bool,
    /// The next id of a log.
    pub next_log: u8,
    /// The number of restarts so far.
    pub restarts: u8,
    /// The number of steps back so far.
    pub steps_back: u8,
    /// The number of lost messages so far.
    pub losses: u8,
    /// The number of late acknowledgements so far.
    pub late_acks: u8,
    /// The database.
    pub database: Database,
    /// The log that the running issuer knows, when another database took the place of its own.
    pub memory: Option<Log>,
    /// Whether the issuer refuses to start.
    pub does_refuse: bool,
    /// The verifiers.
    pub verifiers: SmallVec<[Verifier; VERIFIERS]>,
    /// What went wrong.
    pub faults: Faults,
}

impl State {
    /// The state before anything happened.
    #[must_use]
    pub fn new(bounds: &Bounds) -> Self {
        let watcher = Watcher {
            is_known: false,
            is_connected: false,
            is_silent: false,
            acked: None,
            has_next_key: false,
        };
        let verifier = |&policy: &Policy| Verifier {
            does_deny: policy == Policy::Deny,
            applied: 0,
            position: None,
            proof: None,
            is_fresh: false,
            has_next_key: false,
            is_streaming: false,
            sent: 0,
            ack: None,
            coming: SmallVec::new(),
        };
        Self {
            made: SmallVec::new(),
            lost_unseen: 0,
            expired: 0,
            forgotten_unseen: 0,
            mark_went_back: false,
            revocations: 0,
            due_below: 0,
            refreshed: 0,
            went_back: false,
            is_behind_mark: false,
            next_log: 1,
            restarts: 0,
            steps_back: 0,
            losses: 0,
            late_acks: 0,
            database: Database {
                log: Log { id: 0, begins_at: 0, entries: SmallVec::new(), swept: 0 },
                generation: 0,
                has_ended_sessions: false,
                watchers: bounds.verifiers.iter().map(|_| watcher.clone()).collect(),
                has_evidence: false,
                was_recovered_lately: false,
                next_key: NextKey::None,
            },
            memory: None,
            does_refuse: false,
            verifiers: bounds.verifiers.iter().map(verifier).collect(),
            faults: Faults::default(),
        }
    }

    /// The log that the running issuer works with.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.memory.as_ref().unwrap_or(&self.database.log)
    }

    /// Whether the issuer writes and answers.
    #[must_use]
    pub fn does_serve(&self) -> bool {
        !self.does_refuse && !self.database.has_evidence
    }

    /// Whether that verifier refuses what entry `id` revokes, or need not.
    #[must_use]
    pub fn is_settled(&self, verifier: &Verifier, id: EntryId) -> bool {
        let bit = 1 << id;
        if (self.lost_unseen | self.expired | verifier.applied) & bit != 0 {
            return true;
        }
        let target = self.made[usize::from(id)];
        let covers =
            |(other, own): (usize, &Target)| verifier.applied & (1 << other) != 0 && own.covers(target);
        self.made.iter().enumerate().any(covers)
    }

    /// Whether that verifier accepts tokens.
    #[must_use]
    pub fn does_accept(&self, verifier: &Verifier) -> bool {
        verifier.is_fresh || !verifier.does_deny
    }
}

/// Counts here are small.
pub(crate) fn narrow(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

impl State {
    /// Puts the verifiers in order. Which is which makes no difference.
    pub(crate) fn sort_verifiers(&mut self) {
        let Self { verifiers, database: Database { watchers, .. }, forgotten_unseen, .. } = self;
        for end in (1..verifiers.len()).rev() {
            for at in 0..end {
                let is_forgotten = |at: usize| *forgotten_unseen & (1 << at) != 0;
                let key = |at: usize| (&verifiers[at], &watchers[at], is_forgotten(at));
                if key(at) > key(at + 1) {
                    let both = (1 << at) | (1 << (at + 1));
                    if is_forgotten(at) != is_forgotten(at + 1) {
                        *forgotten_unseen ^= both;
                    }
                    verifiers.swap(at, at + 1);
                    watchers.swap(at, at + 1);
                }
            }
        }
    }
}

/// A value in few bits. It hashes as one number, which is what a search does most.
macro_rules! hash_as_one_number {
    ($($type:ty: |$value:ident| $packed:expr;)+) => {$(
        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let $value = self;
                state.write_u64($packed);
            }
        }
    )+};
}

hash_as_one_number! {
    Target: |target| match *target {
        Self::Token(token) => u64::from(token) << 3,
        Self::TokenOfTheFuture => 1,
        Self::Key => 2,
        Self::EverythingBefore { token, with_future } => {
            3 | u64::from(with_future) << 2 | u64::from(token) << 3
        }
    };
    Position: |position| position.packed();
    Watcher: |watcher| {
        let Self { is_known, is_connected, is_silent, acked, has_next_key } = watcher;
        let bits = [*is_known, *is_connected, *is_silent, *has_next_key];
        acked.map_or(0, |acked| 1 + acked.packed()) << 8 | packed_bits(&bits)
    };
    Ack: |ack| {
        let Self { position, has_next_key, is_recent, is_of_old_stream } = ack;
        let bits = [*has_next_key, *is_recent, *is_of_old_stream];
        position.map_or(0, |position| 1 + position.packed()) << 8 | packed_bits(&bits)
    };
    Message: |message| match message {
        Self::Delta { prev, at } => at.packed() << 10 | u64::from(*prev) << 2,
        Self::Heartbeat { at, is_recent } => at.packed() << 10 | 2 | u64::from(*is_recent),
    };
}

fn packed_bits(bits: &[bool]) -> u64 {
    bits.iter().fold(0, |packed, &bit| packed << 1 | u64::from(bit))
}

impl Position {
    fn packed(self) -> u64 {
        u64::from(u32::from_be_bytes([0, self.log, self.number, self.tag])) << 16 | u64::from(self.content)
    }
}
