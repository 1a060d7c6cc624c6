//! Those who wait for a revocation. One of them looks at the watchers, for all: so a thousand who wait cost as much as one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countermark::verify::{Audience, LogId, Seq, StalePolicy};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, oneshot};

use super::confirmation::{Confirmation, Incomplete, Revoked};
use crate::{
    domain::{account::AccountId, watcher::Watcher},
    feed::INTROSPECTION_LAG,
};

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most who wait for revocations of one account.
const OF_ACCOUNT: u32 = 8;

/// The most who wait at this process.
const IN_ALL: usize = 1_024;

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waiting: Mutex<Waiting>,
    /// Held by the one who looks.
    looking: AsyncMutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: u64,
    by_number: BTreeMap<u64, Wait>,
    of_account: HashMap<AccountId, u32>,
}

#[derive(Debug)]
struct Wait {
    revoked: Revoked,
    /// The instant on the monotonic clock, after the revocation was stored, at which it began.
    since: Duration,
    /// The instant at which it gives up.
    until: Duration,
    answer: oneshot::Sender<Confirmation>,
}

/// A place among those who wait. Dropped, it is free again.
#[derive(Debug)]
pub(super) struct Place<'a> {
    waits: &'a Waits,
    number: u64,
    /// The answer, when somebody has looked.
    pub(super) answer: oneshot::Receiver<Confirmation>,
}

/// What one look found.
#[derive(Debug)]
pub(super) struct Look {
    /// The watchers, at all processes.
    pub(super) watchers: Vec<Watcher>,
    /// The audiences of a login's tokens for which none of them verifies.
    pub(super) unwatched: Vec<Audience>,
    /// The log, read after the watchers: what they have acknowledged was acknowledged of this log.
    pub(super) log_id: LogId,
    /// Whether the database is known to have lost writes.
    pub(super) went_back: bool,
    /// Whether the database was recovered a moment ago.
    pub(super) was_recovered: bool,
    /// The instant, on the monotonic clock.
    pub(super) now: Duration,
}

impl Waits {
    /// A place for one more from `now` on, on the monotonic clock. `None` when too many wait already.
    pub(super) fn join(&self, revoked: Revoked, now: Duration) -> Option<Place<'_>> {
        let mut waiting = self.waiting();
        if waiting.by_number.len() >= IN_ALL {
            return None;
        }
        if let Some(account) = revoked.account {
            let count = waiting.of_account.entry(account).or_default();
            if *count >= OF_ACCOUNT {
                return None;
            }
            *count += 1;
        }
        waiting.count += 1;
        let number = waiting.count;
        let (sender, answer) = oneshot::channel();
        waiting.by_number.insert(
            number,
            Wait { revoked, since: now, until: now.saturating_add(PATIENCE), answer: sender },
        );
        Some(Place { waits: self, number, answer })
    }

    /// Waits until nobody else looks.
    pub(super) async fn turn(&self) -> AsyncMutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// Answers all whose revocation holds at every watcher, and those who have waited for long enough.
    pub(super) fn answer(&self, look: &Look) {
        let (held, held_without_asking) = (look.held_up_to(false), look.held_up_to(true));
        let mut waiting = self.waiting();
        let answered = |wait: &Wait| {
            let seq = wait.revoked.position.seq;
            // Those who ask may ask another process of the issuer, which reads the log a moment later.
            let is_known_when_asked = wait.since.saturating_add(INTROSPECTION_LAG) < look.now;
            look.is_of_another_log(wait.revoked)
                || seq <= held_without_asking
                || seq <= held && is_known_when_asked
                || wait.until <= look.now
        };
        let numbers: Vec<_> =
            waiting.by_number.iter().filter(|(_, wait)| answered(wait)).map(|(&number, _)| number).collect();
        for number in numbers {
            if let Some(wait) = waiting.take(number) {
                // One who has hung up needs no answer.
                let _ = wait.answer.send(look.confirmation(wait.revoked));
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, number: u64) -> Option<Wait> {
        let wait = self.by_number.remove(&number)?;
        if let Some(account) = wait.revoked.account
            && let Some(count) = self.of_account.get_mut(&account)
        {
            *count -= 1;
            if *count == 0 {
                self.of_account.remove(&account);
            }
        }
        Some(wait)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waits.waiting().take(self.number);
    }
}

impl Look {
    /// The last entry that holds at every watcher. `without_asking`: also at those that are stale and ask the issuer.
    fn held_up_to(&self, without_asking: bool) -> Seq {
        const ALL: Seq = Seq::new(u64::MAX);
        let asks = |watcher: &Watcher| watcher.who.policy == StalePolicy::Introspect;
        let held = |watcher: &Watcher| {
            let holds_all = watcher.honours(ALL) && !(without_asking && asks(watcher));
            if holds_all { ALL } else { watcher.applied.seq }
        };
        self.watchers.iter().map(held).min().unwrap_or(ALL)
    }

    fn is_of_another_log(&self, revoked: Revoked) -> bool {
        self.went_back || self.log_id != revoked.position.log_id
    }

    fn confirmation(&self, revoked: Revoked) -> Confirmation {
        let lacks = |watcher: &&Watcher| !watcher.honours(revoked.position.seq);
        let unconfirmed: Vec<_> = self.watchers.iter().filter(lacks).cloned().collect();
        let is_doubtful = self.is_of_another_log(revoked) || self.was_recovered && unconfirmed.is_empty();
        let incomplete = if is_doubtful {
            Some(Incomplete::Recovered)
        } else {
            (!self.unwatched.is_empty()).then_some(Incomplete::Unwatched)
        };
        Confirmation { unconfirmed, unwatched: self.unwatched.clone(), incomplete }
    }
}

#[cfg(test)]
mod tests {
    use countermark::{clock::Timestamp, verify::Position};

    use super::*;
    use crate::domain::watcher::{Applied, WatcherIdentity};

    fn revoked(account: u8, seq: u64) -> Revoked {
        let position = Position { seq: Seq::new(seq), ..Position::default() };
        Revoked { position, account: Some(AccountId::from_bytes([account; 16])) }
    }

    fn look(now: u64) -> Look {
        Look {
            watchers: Vec::new(),
            unwatched: Vec::new(),
            log_id: LogId::default(),
            went_back: false,
            was_recovered: false,
            now: Duration::from_secs(now),
        }
    }

    fn silent(policy: StalePolicy) -> Watcher {
        let at = Timestamp::from_unix_seconds(100);
        Watcher {
            who: WatcherIdentity {
                client: "billing".parse().expect("a client"),
                name: "one".to_owned(),
                version: String::new(),
                policy,
                stale_after: Duration::from_secs(5),
                algorithms: Vec::new(),
            },
            applied: Applied::default(),
            is_connected: true,
            arrival: Some(1),
            connected_at: at,
            heard_at: at,
            silent_for: Duration::from_secs(100),
            silent_at_most: Duration::from_secs(100),
            clock_offset: None,
        }
    }

    #[test]
    fn one_that_asks_is_waited_for_until_all_processes_have_read_the_log() {
        let asked = Duration::from_secs(1);
        for (policy, is_waited_for) in [(StalePolicy::Deny, false), (StalePolicy::Introspect, true)] {
            let waits = Waits::default();
            let mut place = waits.join(revoked(1, 1), asked).expect("a place");
            let mut look_at = |now| {
                waits.answer(&Look { watchers: vec![silent(policy)], now, ..look(0) });
                place.answer.try_recv().ok()
            };
            assert_eq!(look_at(asked + INTROSPECTION_LAG).is_none(), is_waited_for, "{policy}");
            if is_waited_for {
                let later = asked + INTROSPECTION_LAG + Duration::from_nanos(1);
                assert!(look_at(later).is_some_and(|it| it.is_complete()), "{policy}");
            }
        }
    }

    #[test]
    fn so_many_wait_for_one_account_and_so_many_in_all_and_a_place_that_is_left_is_free() {
        let waits = Waits::default();
        let join = |account, seq| waits.join(revoked(account, seq), Duration::ZERO);
        let mut places: Vec<_> = (0..8).map(|_| join(1, 1).expect("a place")).collect();
        assert!(join(1, 1).is_none(), "the ninth of one account");
        places.pop();
        places.push(join(1, 1).expect("the one that was left"));
        for account in 2..=128 {
            places.extend((0..8).map(|_| join(account, 1).expect("a place")));
        }
        assert_eq!(places.len(), 1_024);
        assert!(join(200, 1).is_none(), "one too many in all");
        waits.answer(&look(0));
        assert!(places.iter_mut().all(|place| place.answer.try_recv().is_ok_and(|it| it.is_complete())));
        assert!(join(1, 1).is_some() && join(200, 1).is_some(), "all were answered");
    }
}
