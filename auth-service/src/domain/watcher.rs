//! Watchers of the revocation log, and what each is known to have applied.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    verify::{Seq, StalePolicy},
};

use super::client::ClientId;

/// Added to a watcher's `stale_after`, because clocks run at different speeds and messages take time. After both have
/// passed in silence, the watcher is stale for certain.
const MARGIN: Duration = Duration::from_secs(1);

/// The longest `stale_after` whose silence counts.
const LONGEST_STALE_AFTER: Duration = Duration::from_secs(59);

/// The algorithm that every verifier can verify.
pub const RS256: &str = "RS256";

/// A watcher that was silent for longer than this may have reconnected on a later stream of the same name: a
/// connected watcher acknowledges each second.
const COME_BACK: Duration = Duration::from_secs(2);

/// The random id of a service process, drawn when the process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId([u8; 16]);

impl ProcessId {
    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The identity and settings of a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherIdentity {
    /// The client that the watcher authenticated as.
    pub client: ClientId,
    /// The name that the watcher gives itself. Client and name together identify a verifier, so verifiers that run at
    /// the same time need different names.
    pub name: String,
    /// The version of the watcher's software.
    pub version: String,
    /// The policy after `stale_after`.
    pub policy: StalePolicy,
    /// The time without a message from the issuer after which the policy applies.
    pub stale_after: Duration,
    /// The signature algorithms that the watcher can verify. None: [`RS256`] alone.
    pub algorithms: Vec<String>,
}

/// The state that a watcher has acknowledged last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The number of the last applied entry of the revocation log.
    pub seq: Seq,
    /// The version of the watcher's key set. Empty when it has none.
    pub key_set: String,
}

/// A watcher, as known at one instant.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// The identity of the watcher.
    pub who: WatcherIdentity,
    /// The state that the watcher has acknowledged last.
    pub applied: Applied,
    /// `true` when the stream is open, as far as this process knows.
    pub is_connected: bool,
    /// The position of the stream among all that were ever stored. `None` until it is stored.
    pub arrival: Option<i64>,
    /// The instant at which the stream was opened, by the wall clock of the process that serves it.
    pub connected_at: Timestamp,
    /// The instant of the last message, by the wall clock of the process that received it.
    pub heard_at: Timestamp,
    /// Lower bound of the time since the last message, by our monotonic clock.
    pub silent_for: Duration,
    /// Upper bound of the time since the last message, by our monotonic clock.
    pub silent_at_most: Duration,
    /// The watcher's wall clock minus ours, in milliseconds. `None` when the watcher does not send it.
    pub clock_offset: Option<i64>,
}

impl Watcher {
    /// `true` when the watcher refuses tokens that entries up to `seq` revoke. Either it has acknowledged `seq`, or
    /// it has been stale for long enough that its policy makes it introspect or refuse every token. A `stale_after` above
    /// 59 s never counts as such: for a minute after a recovery no confirmation is complete, and by then every watcher that
    /// isn't known any more has to be stale.
    #[must_use]
    pub fn honours(&self, seq: Seq) -> bool {
        let goes_stale = self.who.policy != StalePolicy::Allow && self.who.stale_after <= LONGEST_STALE_AFTER;
        self.applied.seq >= seq || goes_stale && self.is_stale()
    }

    /// `true` when the watcher is connected and has not acknowledged this version of the key set.
    #[must_use]
    pub fn lacks(&self, key_set: &str) -> bool {
        self.is_connected && self.applied.key_set != key_set
    }

    /// `true` when the watcher can't verify what a key of `algorithm` signs.
    #[must_use]
    pub fn is_ignorant_of(&self, algorithm: &str) -> bool {
        let algorithms = &self.who.algorithms;
        !(algorithms.iter().any(|known| known == algorithm) || algorithms.is_empty() && algorithm == RS256)
    }

    /// `true` when both are the same verifier.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.who.client == other.who.client && self.who.name == other.who.name
    }

    /// `true` when the watcher has been silent for longer than its `stale_after` plus one second.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.silent_for > self.who.stale_after.saturating_add(MARGIN)
    }
}

/// The watchers without those that have reconnected on a later stream.
#[must_use]
pub fn current(watchers: &[Watcher]) -> Vec<Watcher> {
    let came_back = |old: &Watcher| {
        // Wall clocks may be set, so they are not sufficient. The database counts which stream came later. Our
        // monotonic clock tells which of two sent the later message.
        let is_later = |new: &Watcher| {
            let is_alive = new.is_connected && new.silent_at_most < old.silent_for;
            let came_later = old.arrival.is_some() && new.arrival > old.arrival;
            is_alive && came_later && new.connected_at > old.heard_at && new.is(old)
        };
        old.silent_for > COME_BACK && watchers.iter().any(is_later)
    };
    watchers.iter().filter(|watcher| !came_back(watcher)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(policy: StalePolicy, seq: u64, silent_for: u64) -> Watcher {
        Watcher {
            who: WatcherIdentity {
                client: "billing".parse().unwrap(),
                name: "one".to_owned(),
                version: String::new(),
                policy,
                stale_after: Duration::from_secs(5),
                algorithms: Vec::new(),
            },
            applied: Applied { seq: Seq::new(seq), key_set: String::new() },
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
            assert!(watcher(policy, 7, 0).honours(Seq::new(7)), "{policy}");
            assert!(!watcher(policy, 6, 0).honours(Seq::new(7)), "{policy}");
        }
    }

    #[test]
    fn silence_of_one_that_may_be_silent_for_long_is_no_confirmation() {
        let mut watcher = watcher(StalePolicy::Deny, 6, 100_000);
        watcher.who.stale_after = LONGEST_STALE_AFTER;
        assert!(watcher.honours(Seq::new(7)));
        watcher.who.stale_after = LONGEST_STALE_AFTER + Duration::from_millis(1);
        assert!(!watcher.honours(Seq::new(7)) && watcher.honours(Seq::new(6)));
    }

    #[test]
    fn a_watcher_that_names_no_algorithm_verifies_the_first_one_alone() {
        let mut watcher = watcher(StalePolicy::Deny, 1, 0);
        assert!(!watcher.is_ignorant_of(RS256) && watcher.is_ignorant_of("ES256"));
        watcher.who.algorithms = vec!["ES256".to_owned()];
        assert!(watcher.is_ignorant_of(RS256) && !watcher.is_ignorant_of("ES256"));
    }

    #[test]
    fn silence_past_its_bound_and_a_second_is_as_good_but_not_from_one_that_allows() {
        for (policy, honours) in
            [(StalePolicy::Allow, false), (StalePolicy::Introspect, true), (StalePolicy::Deny, true)]
        {
            assert!(!watcher(policy, 6, 6_000).honours(Seq::new(7)), "{policy}");
            assert_eq!(watcher(policy, 6, 6_001).honours(Seq::new(7)), honours, "{policy}");
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
        assert_eq!(left(&[watcher(StalePolicy::Deny, 1, 2_000), later.clone()]), 2, "both are alive");
        let other = Watcher { is_connected: false, ..later.clone() };
        assert_eq!(left(&[silent.clone(), other]), 2);
        let lost = Watcher { silent_at_most: silent.silent_for, ..later.clone() };
        assert_eq!(left(&[silent.clone(), lost]), 2, "it is not known which of them sent the later message");
        later.who.name = "two".to_owned();
        assert_eq!(left(&[silent, later]), 2);
    }

    #[test]
    fn of_two_silent_streams_of_one_verifier_one_is_waited_for_whatever_wall_clocks_say() {
        // Each stream was opened after the other's last message, by clocks that were set back in between.
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
