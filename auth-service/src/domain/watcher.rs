//! Who watches the revocation log, and what is known to have reached whom.

use std::time::Duration;

use countermark::{clock::Timestamp, verify::StalePolicy};

use super::client::ClientId;

/// A watcher that has been silent for longer than its own bound by this much accepts nothing that it has not heard of:
/// clocks differ in pace, and messages take time.
const MARGIN: Duration = Duration::from_secs(1);

/// One that has been silent for longer while a later stream of the same name is heard is taken to have come back on that: a live
/// one acknowledges each second.
const COME_BACK: Duration = Duration::from_secs(2);

/// Who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherIdentity {
    /// The client that it authenticated as.
    pub client: ClientId,
    /// What it calls itself. A client and a name are one verifier: those that run at once have names of their own.
    pub name: String,
    /// The version of its software.
    pub version: String,
    /// What it does when it has not heard from the issuer for `stale_after`.
    pub policy: StalePolicy,
    /// For how long it does without hearing from the issuer.
    pub stale_after: Duration,
}

/// What a watcher said last that it has applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The number of the last entry of the revocation log.
    pub seq: i64,
    /// The version of the key set that it verifies with; empty when it has none.
    pub key_set: String,
}

/// A watcher, as it is known at some moment.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// Who it is.
    pub who: WatcherIdentity,
    /// What it has applied.
    pub applied: Applied,
    /// Whether its stream is open, as far as is known.
    pub is_connected: bool,
    /// In which place of all streams it was written down first; `None` while it is not.
    pub arrival: Option<i64>,
    /// When it was opened, on the wall clock of the process that it watches at.
    pub connected_at: Timestamp,
    /// When it was heard last, on the wall clock of the process that heard it.
    pub heard_at: Timestamp,
    /// How long ago it was heard last, at least, on our own monotonic clock.
    pub silent_for: Duration,
    /// The same, at most.
    pub silent_at_most: Duration,
    /// How far its wall clock is ahead of ours, in milliseconds; `None` when it doesn't say.
    pub clock_offset: Option<i64>,
}

impl Watcher {
    /// Whether it refuses what the log's entries up to `seq` revoke: it has said so, or has been silent for so long that it
    /// refuses everything, or asks first.
    #[must_use]
    pub fn honours(&self, seq: i64) -> bool {
        self.applied.seq >= seq || self.who.policy != StalePolicy::Allow && self.is_stale()
    }

    /// Whether it watches, and has not acknowledged the key set of that version.
    #[must_use]
    pub fn lacks(&self, key_set: &str) -> bool {
        self.is_connected && self.applied.key_set != key_set
    }

    /// Whether it is the same verifier as `other`.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.who.client == other.who.client && self.who.name == other.who.name
    }

    /// Whether it has been silent for longer than its own bound, and a margin.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.silent_for > self.who.stale_after.saturating_add(MARGIN)
    }
}

/// Those of `watchers` that did not come back on a later stream.
#[must_use]
pub fn current(watchers: &[Watcher]) -> Vec<Watcher> {
    let came_back = |old: &Watcher| {
        // Wall clocks don't suffice: they may be set. Which stream came later the database knows, and which of two was heard later
        // our own monotonic clock.
        let is_later = |new: &Watcher| {
            let is_heard = new.is_connected && new.silent_at_most < old.silent_for;
            let came_later = old.arrival.is_some() && new.arrival > old.arrival;
            is_heard && came_later && new.connected_at > old.heard_at && new.is(old)
        };
        old.silent_for > COME_BACK && watchers.iter().any(is_later)
    };
    watchers.iter().filter(|watcher| !came_back(watcher)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(policy: StalePolicy, seq: i64, silent_for: u64) -> Watcher {
        Watcher {
            who: WatcherIdentity {
                client: "billing".parse().unwrap(),
                name: "one".to_owned(),
                version: String::new(),
                policy,
                stale_after: Duration::from_secs(5),
            },
            applied: Applied { seq, key_set: String::new() },
            is_connected: true,
            arrival: Some(1),
            connected_at: Timestamp::from_unix_seconds(100),
            heard_at: Timestamp::from_unix_seconds(100),
            silent_for: Duration::from_millis(silent_for),
            silent_at_most: Duration::from_millis(silent_for),
            clock_offset: None,
        }
    }

    #[test]
    fn a_watcher_honours_what_it_has_acknowledged_whatever_its_policy() {
        for policy in [StalePolicy::Allow, StalePolicy::Introspect, StalePolicy::Deny] {
            assert!(watcher(policy, 7, 0).honours(7), "{policy}");
            assert!(!watcher(policy, 6, 0).honours(7), "{policy}");
        }
    }

    #[test]
    fn silence_past_its_bound_and_a_second_is_as_good_but_not_from_one_that_allows() {
        for (policy, honours) in
            [(StalePolicy::Allow, false), (StalePolicy::Introspect, true), (StalePolicy::Deny, true)]
        {
            assert!(!watcher(policy, 6, 6_000).honours(7), "{policy}");
            assert_eq!(watcher(policy, 6, 6_001).honours(7), honours, "{policy}");
        }
    }

    #[test]
    fn a_silent_one_is_passed_over_once_it_is_back_on_a_later_stream() {
        let left = |watchers: &[Watcher]| current(watchers).len();
        let silent = watcher(StalePolicy::Deny, 1, 2_001);
        let mut later = watcher(StalePolicy::Deny, 2, 0);
        assert_eq!(left(&[silent.clone(), later.clone()]), 2, "not later");
        later.connected_at = Timestamp::from_unix_seconds(101);
        assert_eq!(
            left(&[silent.clone(), later.clone()]),
            2,
            "later by a clock that may have been set, and not by arrival"
        );
        later.arrival = Some(2);
        assert_eq!(left(&[silent.clone(), later.clone()]), 1);
        assert_eq!(left(&[watcher(StalePolicy::Deny, 1, 2_000), later.clone()]), 2, "both are heard");
        let other = Watcher { is_connected: false, ..later.clone() };
        assert_eq!(left(&[silent.clone(), other]), 2);
        let lost = Watcher { silent_at_most: silent.silent_for, ..later.clone() };
        assert_eq!(left(&[silent.clone(), lost]), 2, "who knows which was heard later?");
        later.who.name = "two".to_owned();
        assert_eq!(left(&[silent, later]), 2);
    }

    #[test]
    fn of_two_silent_streams_of_one_verifier_one_is_waited_for_whatever_wall_clocks_say() {
        // Each was opened later than the other was heard, by clocks that were set back in between.
        let mut first = watcher(StalePolicy::Allow, 1, 3_000);
        (first.connected_at, first.heard_at) =
            (Timestamp::from_unix_seconds(200), Timestamp::from_unix_seconds(100));
        for silent_for in [2_500, 3_000, 3_500] {
            let silent_for = Duration::from_millis(silent_for);
            let second =
                Watcher { silent_for, silent_at_most: silent_for, arrival: Some(2), ..first.clone() };
            assert!(!current(&[first.clone(), second]).is_empty(), "{silent_for:?}");
        }
    }
}
