//! What is waited for, and what the wait found.

use countermark::verify::{Audience, Position};

use crate::domain::{account::AccountId, watcher::Watcher};

/// A revocation that was logged: the log up to its position has to reach every verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub(super) position: Position,
    /// The account whose tokens were revoked, if it is one account.
    pub(super) account: Option<AccountId>,
}

impl Revoked {
    /// The same, of an account.
    pub(in crate::ops) fn of(self, account: Option<AccountId>) -> Self {
        Self { account, ..self }
    }
}

/// How far a revocation has got.
#[derive(Debug)]
pub struct Confirmation {
    /// The watchers at which it may not hold yet.
    pub unconfirmed: Vec<Watcher>,
    /// The audiences of a login's tokens that nobody watches for. Whoever verifies their tokens is not known here.
    pub unwatched: Vec<Audience>,
    /// The reason why it is not complete, besides the watchers.
    pub incomplete: Option<Incomplete>,
}

/// Why a wait ends without a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// The log was replaced, now or a moment ago, or the database has lost writes. Verifiers that this service doesn't know may
    /// still accept the tokens.
    Recovered,
    /// Nobody watches for an audience of the tokens. Its verifiers may accept them until they expire.
    Unwatched,
    /// Too many wait already, for this account or in all. The revocation is logged, and reaches the verifiers as any other.
    Busy,
}

impl Incomplete {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Unwatched => "unwatched",
            Self::Busy => "busy",
        }
    }
}

impl Confirmation {
    /// Whether the revocation holds at every watcher.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unconfirmed.is_empty() && self.incomplete.is_none()
    }
}
