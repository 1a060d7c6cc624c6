//! How current a verifier is: up to which entry of the issuer's log it knows what is revoked, and when it was last told that
//! there is no later one. Instants are on the monotonic clock, handed in.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Without a word for so long a stream is not taken for a live one, although it is open: the issuer answers each second.
pub const SILENCE: Duration = Duration::from_secs(5);

/// What a verifier does with a good token when it may have missed its revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StalePolicy {
    /// Believes it.
    Allow,
    /// Asks the issuer; no answer is treated as [`Deny`](Self::Deny).
    Introspect,
    /// Refuses it, with a temporary error.
    Deny,
}

/// No stale policy has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of allow, introspect and deny")]
pub struct UnknownStalePolicy;

impl FromStr for StalePolicy {
    type Err = UnknownStalePolicy;

    fn from_str(text: &str) -> Result<Self, UnknownStalePolicy> {
        match text {
            "allow" => Ok(Self::Allow),
            "introspect" => Ok(Self::Introspect),
            "deny" => Ok(Self::Deny),
            _ => Err(UnknownStalePolicy),
        }
    }
}

impl fmt::Display for StalePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Introspect => "introspect",
            Self::Deny => "deny",
        })
    }
}

/// Where in which log a verifier stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The log; empty when none is known yet.
    pub log_id: Vec<u8>,
    /// The last entry that was applied; 0 when none was.
    pub seq: u64,
}

/// How current a verifier is. One task keeps it, many ask.
#[derive(Debug, Default)]
pub struct Freshness {
    position: Mutex<Position>,
    /// When the latest question that was answered had been sent, in nanoseconds, plus one; 0 when none was answered.
    heard_at: AtomicU64,
    /// Whether a stream is open over which the issuer has answered.
    is_streaming: AtomicBool,
}

impl Freshness {
    /// Where the verifier stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long ago, at `now`, the latest question was *sent* that the issuer has answered: everything revoked before that is
    /// known. `None` when it has answered none.
    #[must_use]
    pub fn heard_ago(&self, now: Duration) -> Option<Duration> {
        let nanos = self.heard_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_nanos(nanos)))
    }

    /// Whether at `now` the issuer has not been heard for longer than `after`, or never.
    #[must_use]
    pub fn is_stale(&self, now: Duration, after: Duration) -> bool {
        self.heard_ago(now).is_none_or(|ago| ago > after)
    }

    /// Whether at `now` word of every revocation and of every new key set comes at once.
    #[must_use]
    pub fn is_live(&self, now: Duration) -> bool {
        self.is_streaming.load(Ordering::Acquire) && !self.is_stale(now, SILENCE)
    }

    /// Everything up to there is applied.
    pub fn stand_at(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// The issuer answered a question that was sent at `sent_at`, and everything that it said before is applied.
    pub fn heard(&self, sent_at: Duration) {
        let nanos = u64::try_from(sent_at.as_nanos()).unwrap_or(u64::MAX - 1);
        self.heard_at.fetch_max(nanos.saturating_add(1), Ordering::AcqRel);
        self.is_streaming.store(true, Ordering::Release);
    }

    /// The stream is over.
    pub fn cut_off(&self) {
        self.is_streaming.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_has_never_heard_is_stale() {
        let freshness = Freshness::default();
        assert!(freshness.is_stale(at(0), Duration::MAX));
        assert_eq!(freshness.heard_ago(at(9)), None);
        assert!(!freshness.is_live(at(0)));
    }

    #[test]
    fn it_counts_from_when_the_question_was_sent_and_never_back() {
        let freshness = Freshness::default();
        freshness.heard(at(10));
        freshness.heard(at(7));
        assert_eq!(freshness.heard_ago(at(14)), Some(at(4)));
        assert!(!freshness.is_stale(at(15), at(5)));
        assert!(freshness.is_stale(at(15) + Duration::from_nanos(1), at(5)));
    }

    #[test]
    fn a_question_sent_at_the_beginning_of_time_was_sent() {
        let freshness = Freshness::default();
        freshness.heard(at(0));
        assert_eq!(freshness.heard_ago(at(0)), Some(at(0)));
    }

    #[test]
    fn a_silent_or_broken_stream_is_not_live() {
        let freshness = Freshness::default();
        freshness.heard(at(10));
        assert!(freshness.is_live(at(15)));
        assert!(!freshness.is_live(at(16)));
        freshness.cut_off();
        assert!(!freshness.is_live(at(10)));
    }
}
