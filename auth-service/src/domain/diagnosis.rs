//! Finds faults of watchers, and describes each in a sentence: a verifier that would still accept a revoked token, a
//! clock that is off, an audience that has no watcher.

use std::{fmt, time::Duration};

use countermark::{
    clock::Timestamp,
    verify::{Audience, Seq, StalePolicy},
};

use super::{
    account::{Email, InvalidEmail},
    client::ClientId,
    client_keys::InvalidClientKeys,
    watcher::{Watcher, WatcherIdentity},
};

/// Maximum tolerated difference between clocks, in milliseconds.
const CLOCK_TOLERANCE: i64 = 1_000;

/// The state that each watcher is compared with.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The number of the last entry of the revocation log, a moment ago.
    pub head: Seq,
    /// The versions of the key sets that are current now or were current a moment ago.
    pub key_sets: Vec<String>,
    /// The wall clock's time.
    pub now: Timestamp,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The database has lost writes. The text says how that is known, and what to do.
    WentBack(String),
    /// The mark outside the database, at that path, can't be read or is not written any more.
    MarkBehind(String),
    /// The watcher lacks this many entries.
    Behind(WatcherIdentity, u64),
    /// The watcher's stream broke off this long ago, and its policy is `allow`.
    GoneAndAllows(WatcherIdentity, Duration),
    /// The watcher's stream broke off this long ago. It accepts tokens until its `stale_after` has passed.
    Gone(WatcherIdentity, Duration),
    /// The watcher has sent nothing for this long, which is longer than its `stale_after`, and its policy is `allow`.
    SilentAndAllows(WatcherIdentity, Duration),
    /// The watcher verifies with an outdated key set.
    OldKeys(WatcherIdentity),
    /// The watcher's clock is ahead of ours by this many milliseconds.
    ClockOff(WatcherIdentity, i64),
    /// Two connected verifiers have the same name.
    SharesName(WatcherIdentity),
    /// No verifier of this audience watches.
    Unwatched(Audience),
    /// An earlier version stored what is not accepted any more.
    Doubt(Doubt),
}

/// What an earlier version stored, and what is not accepted any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The address of an account.
    #[error("the account {0} has a doubtful address; `user disable` it unless you know whose it is. {1}")]
    Address(Email, InvalidEmail),
    /// The addresses of two accounts are spellings of one.
    #[error("the accounts {0} and {1} have one address; `user disable` one of them")]
    SameAddress(Email, Email),
    /// The keys of a client are private, symmetric or weak.
    #[error("the stored key set of the client {0} is doubtful; register its public keys anew: it {1}")]
    Keys(ClientId, InvalidClientKeys),
}

/// What works, and will not with stricter settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A client watches by the scope `introspect` alone.
    #[error(
        "the client {0} watches by the scope introspect alone; give it the scope watch, too: \
         scopes = [\"introspect\", \"watch\"] in the bootstrap file, or `auth-service client add-scope {0} --scope watch`. \
         Then set AUTH_WATCH_SCOPE=require"
    )]
    WatchScope(ClientId),
    /// An audience owns a scope that is built in now.
    #[error(
        "the audience {0} owns the scope {1}, which is built in now: while it does, the scope permits no client to {1}. \
         `audience add {0}` with other scopes gives it back"
    )]
    BuiltInScope(Audience, &'static str),
}

impl Watcher {
    /// The time since the watcher's last message, by the wall clock.
    #[must_use]
    pub fn silence(&self, now: Timestamp) -> Duration {
        now.since(self.heard_at)
    }

    /// The number of entries that the watcher lacks.
    #[must_use]
    pub fn lag(&self, head: Seq) -> u64 {
        head.since(self.applied.seq).unwrap_or(0)
    }
}

/// All faults of `watchers`. `is_for` tells whether a watcher verifies tokens of an audience.
#[must_use]
pub fn findings(
    watchers: &[Watcher],
    audiences: &[Audience],
    standard: &Baseline,
    is_for: impl Fn(&WatcherIdentity, &Audience) -> bool,
) -> Vec<Finding> {
    let mut findings: Vec<_> = watchers.iter().flat_map(|watcher| of_one(watcher, standard)).collect();
    for (place, watcher) in watchers.iter().enumerate() {
        let is_other = |other: &&Watcher| other.is_connected && other.is(watcher);
        let finding = Finding::SharesName(watcher.who.clone());
        if watcher.is_connected && watchers[..place].iter().any(|other| is_other(&other)) {
            findings.push(finding);
        }
    }
    let is_watched = |audience: &&Audience| {
        watchers.iter().any(|watcher| watcher.is_connected && is_for(&watcher.who, audience))
    };
    let unwatched = audiences.iter().filter(|audience| !is_watched(audience));
    findings.extend(unwatched.cloned().map(Finding::Unwatched));
    findings
}

fn of_one(watcher: &Watcher, standard: &Baseline) -> Vec<Finding> {
    let who = || watcher.who.clone();
    let silence = watcher.silence(standard.now);
    let allows = watcher.who.policy == StalePolicy::Allow;
    if !watcher.is_connected {
        return match (allows, watcher.is_stale()) {
            (true, _) => vec![Finding::GoneAndAllows(who(), silence)],
            (false, false) => vec![Finding::Gone(who(), silence)],
            // The verifier refuses every token, or introspects it. That is no fault.
            (false, true) => Vec::new(),
        };
    }
    let mut findings = Vec::new();
    let lag = watcher.lag(standard.head);
    if allows && silence > watcher.who.stale_after {
        findings.push(Finding::SilentAndAllows(who(), silence));
    } else if lag > 0 && (allows || !watcher.is_stale()) {
        // One that is stale refuses every token, or introspects it: a barrier counts it as complete, too.
        findings.push(Finding::Behind(who(), lag));
    }
    if !standard.key_sets.contains(&watcher.applied.key_set) {
        findings.push(Finding::OldKeys(who()));
    }
    if let Some(offset) = watcher.clock_offset.filter(|offset| offset.abs() > CLOCK_TOLERANCE) {
        findings.push(Finding::ClockOff(who(), offset));
    }
    findings
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::as_secs;
        match self {
            Self::WentBack(sentence) => f.write_str(sentence),
            Self::MarkBehind(path) => write!(
                f,
                "the mark {path} is behind the database or can't be read: a database that goes back may not be noticed"
            ),
            Self::Behind(who, lag) => {
                write!(f, "{} would still accept a revoked token: it lacks {lag} revocations", name(who))
            }
            Self::GoneAndAllows(who, since) => write!(
                f,
                "{} would still accept a revoked token: it vanished, sent its last message {} s ago, and its policy \
                 is allow",
                name(who),
                seconds(since)
            ),
            Self::Gone(who, since) => write!(
                f,
                "{} may still accept a revoked token: it vanished, sent its last message {} s ago, and refuses after \
                 {} s",
                name(who),
                seconds(since),
                seconds(&who.stale_after)
            ),
            Self::SilentAndAllows(who, since) => write!(
                f,
                "{} would still accept a revoked token: it has been silent for {} s, and its policy is allow",
                name(who),
                seconds(since)
            ),
            Self::OldKeys(who) => {
                write!(
                    f,
                    "{} does not hold the current key set: a rotation waits for it, for AUTH_ROTATION_PATIENCE",
                    name(who)
                )
            }
            Self::ClockOff(who, offset) => {
                let side = if *offset > 0 { "ahead" } else { "behind" };
                write!(f, "the clock of {} is {} ms {side}", name(who), offset.abs())
            }
            Self::SharesName(who) => {
                write!(f, "two verifiers are called {}: give each a name of its own", name(who))
            }
            Self::Doubt(doubt) => doubt.fmt(f),
            Self::Unwatched(audience) => {
                write!(
                    f,
                    "no verifier of the audience {} watches: it learns of nothing that is revoked",
                    audience.as_str()
                )
            }
        }
    }
}

fn name(who: &WatcherIdentity) -> String {
    format!("{} ({})", who.name, who.client.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::watcher::Applied;
    use super::*;

    fn watcher() -> Watcher {
        Watcher {
            who: WatcherIdentity {
                client: "billing".parse().unwrap(),
                name: "one".to_owned(),
                version: "1".to_owned(),
                policy: StalePolicy::Deny,
                stale_after: Duration::from_secs(5),
                algorithms: Vec::new(),
            },
            applied: Applied { seq: Seq::new(7), key_set: "current".to_owned() },
            is_connected: true,
            arrival: Some(1),
            connected_at: Timestamp::from_unix_seconds(100),
            heard_at: Timestamp::from_unix_seconds(200),
            silent_for: Duration::ZERO,
            silent_at_most: Duration::ZERO,
            clock_offset: Some(-1_000),
        }
    }

    fn found(change: impl Fn(&mut Watcher)) -> Vec<Finding> {
        let mut changed = watcher();
        change(&mut changed);
        let standard = Baseline {
            head: Seq::new(7),
            key_sets: vec!["current".to_owned()],
            now: Timestamp::from_unix_seconds(201),
        };
        findings(&[changed], &[], &standard, |_, _| true)
    }

    #[test]
    fn each_fault_is_found_and_nothing_else() {
        let who = || watcher().who;
        let allowing = || WatcherIdentity { policy: StalePolicy::Allow, ..who() };
        assert_eq!(found(|_| ()), []);
        assert_eq!(found(|it| it.applied.seq = Seq::new(5)), [Finding::Behind(who(), 2)]);
        assert_eq!(found(|it| it.applied.key_set.clear()), [Finding::OldKeys(who())]);
        assert_eq!(found(|it| it.clock_offset = Some(1_001)), [Finding::ClockOff(who(), 1_001)]);
        assert_eq!(found(|it| it.is_connected = false), [Finding::Gone(who(), Duration::from_secs(1))]);
        let silent = |it: &mut Watcher| {
            it.heard_at = Timestamp::from_unix_seconds(100);
            it.silent_for = Duration::from_secs(101);
        };
        assert_eq!(found(silent), [], "it denies");
        assert_eq!(found(|it| (silent(it), it.applied.seq = Seq::new(5)).1), [], "it denies, and lacks some");
        assert_eq!(found(|it| (silent(it), it.is_connected = false).1), [], "it denies");
        let silence = Duration::from_secs(101);
        assert_eq!(
            found(|it| (silent(it), it.who = allowing()).1),
            [Finding::SilentAndAllows(allowing(), silence)]
        );
        assert_eq!(
            found(|it| (silent(it), it.is_connected = false, it.who = allowing()).2),
            [Finding::GoneAndAllows(allowing(), silence)]
        );
    }

    #[test]
    fn an_audience_that_nobody_watches_for_and_a_name_that_two_have_are_found() {
        let standard = Baseline {
            head: Seq::START,
            key_sets: vec!["current".to_owned()],
            now: Timestamp::from_unix_seconds(201),
        };
        let audiences = ["a", "b"].map(Audience::new);
        let found =
            findings(&[watcher(), watcher()], &audiences, &standard, |_, audience| audience.as_str() == "a");
        assert_eq!(found, [Finding::SharesName(watcher().who), Finding::Unwatched(Audience::new("b"))]);
    }
}
