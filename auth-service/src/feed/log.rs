//! The newest entries of the revocation log, in memory.
//!
//! A watcher is only a position in the log. It has no queue, so a slow watcher costs no memory and delays nobody. A
//! watcher whose position is older than the oldest entry here gets a snapshot.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countermark::verify::{LogId, Position, Seq};
use tokio::sync::watch;

use crate::store::revocations::LogEntry;

/// Maximum number of entries in memory.
const KEPT: usize = 8_192;

/// Maximum number of entries that one call returns.
const PORTION: usize = 64;

/// The newest entries of the log, without a gap.
#[derive(Debug)]
pub struct RecentLog {
    held: Mutex<Held>,
    head: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Held {
    log_id: LogId,
    /// The number of the entry before the first one in `entries`.
    floor: Seq,
    entries: VecDeque<LogEntry>,
}

impl RecentLog {
    /// The position after the newest entry.
    #[must_use]
    pub fn head(&self) -> Position {
        *self.head.borrow()
    }

    /// A receiver that sees each new head.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// The next entries after `position`, in order and without a gap. Empty at the head. `None` when the position is
    /// in another log, ahead of this log, or older than the entries in memory.
    #[must_use]
    pub fn after(&self, position: Position) -> Option<Vec<LogEntry>> {
        let held = self.held();
        if position.log_id != held.log_id {
            return None;
        }
        let from = usize::try_from(position.seq.since(held.floor)?).ok()?;
        (from <= held.entries.len()).then(|| held.entries.range(from..).take(PORTION).cloned().collect())
    }

    /// Adds entries, which are in order.
    pub(super) fn append(&self, log_id: LogId, entries: &[LogEntry]) {
        let mut held = self.held();
        for entry in entries {
            if log_id != held.log_id || entry.seq != held.head().later(1) {
                *held = Held { log_id, floor: entry.seq.previous(), entries: VecDeque::new() };
            }
            if held.entries.len() == KEPT {
                held.entries.pop_front();
                held.floor = held.floor.later(1);
            }
            held.entries.push_back(entry.clone());
        }
        self.publish_head(&held);
    }

    /// Drops all entries, and continues at `position`.
    pub(super) fn begin_at(&self, position: Position) {
        let mut held = self.held();
        *held = Held { log_id: position.log_id, floor: position.seq, entries: VecDeque::new() };
        self.publish_head(&held);
    }

    fn publish_head(&self, held: &MutexGuard<'_, Held>) {
        self.head.send_replace(Position { log_id: held.log_id, seq: held.head() });
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn head(&self) -> Seq {
        self.floor.later(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }
}

impl Default for RecentLog {
    fn default() -> Self {
        Self { held: Mutex::default(), head: watch::Sender::new(Position::default()) }
    }
}

#[cfg(test)]
mod tests {
    use countermark::verify::Revocation;

    use super::*;

    const LOG: LogId = LogId::new([1; 16]);

    fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<LogEntry> {
        let revocation = |seq: u64| Revocation::Token(format!("token-{seq}").parse().unwrap());
        range
            .map(|seq| LogEntry { seq: Seq::new(seq), revocation: revocation(seq), expires_at: None })
            .collect()
    }

    fn after(log: &RecentLog, seq: u64) -> Option<Vec<u64>> {
        let entries = log.after(Position { log_id: LOG, seq: Seq::new(seq) })?;
        Some(entries.iter().map(|entry| entry.seq.number()).collect())
    }

    #[test]
    fn a_watcher_gets_what_it_lacks_and_nothing_at_the_head() {
        let log = RecentLog::default();
        log.append(LOG, &entries(1..=3));
        assert_eq!(after(&log, 0), Some(vec![1, 2, 3]));
        assert_eq!(after(&log, 2), Some(vec![3]));
        assert_eq!(after(&log, 3), Some(vec![]));
        assert_eq!(after(&log, 4), None, "ahead of the log");
        assert_eq!(
            log.after(Position { log_id: LogId::new([2; 16]), seq: Seq::new(1) }),
            None,
            "another log"
        );
        assert_eq!(log.head(), Position { log_id: LOG, seq: Seq::new(3) });
    }

    #[test]
    fn what_lies_before_a_gap_is_not_handed_out_across_it() {
        let log = RecentLog::default();
        log.append(LOG, &entries(1..=3));
        log.append(LOG, &entries(6..=7));
        assert_eq!(after(&log, 3), None);
        assert_eq!(after(&log, 5), Some(vec![6, 7]));
        log.begin_at(Position { log_id: LOG, seq: Seq::new(9) });
        assert_eq!((after(&log, 7), after(&log, 9)), (None, Some(vec![])));
    }

    #[test]
    fn it_holds_the_newest_alone_and_hands_out_portions() {
        let log = RecentLog::default();
        let more = u64::try_from(KEPT).unwrap() + 10;
        log.append(LOG, &entries(1..=more));
        assert_eq!(after(&log, 9), None);
        assert_eq!(after(&log, 10).unwrap().len(), PORTION);
        assert_eq!(after(&log, more - 1), Some(vec![more]));
    }
}
