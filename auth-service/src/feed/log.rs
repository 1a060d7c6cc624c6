//! The newest entries of the revocation log, for those who watch it: each has a position in it and nothing else, so that
//! a slow one costs no memory and holds nobody up. Whoever lies further back than this reaches takes all of it anew.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::store::revocations::{LogEntry, LogId, Position, Sequence};

/// How many there are at most.
const KEPT: usize = 8_192;

/// How many are handed out in one go.
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
    /// The number before the first entry that is held.
    floor: Sequence,
    entries: VecDeque<LogEntry>,
}

impl RecentLog {
    /// The place after the newest entry.
    #[must_use]
    pub fn head(&self) -> Position {
        *self.head.borrow()
    }

    /// Tells of each newer head.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    /// Some of the entries after `position`, in order and without a gap; none at the head. `None` when it is a place in
    /// another log, or ahead of this one, or too far back.
    #[must_use]
    pub fn after(&self, position: Position) -> Option<Vec<LogEntry>> {
        let held = self.held();
        if position.log_id != held.log_id {
            return None;
        }
        let from = usize::try_from(position.seq.checked_sub(held.floor)?).ok()?;
        (from <= held.entries.len()).then(|| held.entries.range(from..).take(PORTION).cloned().collect())
    }

    /// Adds entries, in their order.
    pub(super) fn append(&self, log_id: LogId, entries: &[LogEntry]) {
        let mut held = self.held();
        for entry in entries {
            if log_id != held.log_id || entry.seq != held.head() + 1 {
                *held = Held { log_id, floor: entry.seq - 1, entries: VecDeque::new() };
            }
            if held.entries.len() == KEPT {
                held.entries.pop_front();
                held.floor += 1;
            }
            held.entries.push_back(entry.clone());
        }
        self.tell(&held);
    }

    /// Begins anew at `position`: what is before it is not known here.
    pub(super) fn begin_at(&self, position: Position) {
        let mut held = self.held();
        *held = Held { log_id: position.log_id, floor: position.seq, entries: VecDeque::new() };
        self.tell(&held);
    }

    fn tell(&self, held: &MutexGuard<'_, Held>) {
        self.head.send_replace(Position { log_id: held.log_id, seq: held.head() });
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn head(&self) -> Sequence {
        self.floor + Sequence::try_from(self.entries.len()).unwrap_or(Sequence::MAX)
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

    const LOG: LogId = [1; 16];

    fn entries(range: std::ops::RangeInclusive<Sequence>) -> Vec<LogEntry> {
        let revocation = |seq: Sequence| Revocation::Token(format!("token-{seq}").parse().unwrap());
        range.map(|seq| LogEntry { seq, revocation: revocation(seq), expires_at: None }).collect()
    }

    fn after(log: &RecentLog, seq: Sequence) -> Option<Vec<Sequence>> {
        let entries = log.after(Position { log_id: LOG, seq })?;
        Some(entries.iter().map(|entry| entry.seq).collect())
    }

    #[test]
    fn a_watcher_gets_what_it_lacks_and_nothing_at_the_head() {
        let log = RecentLog::default();
        log.append(LOG, &entries(1..=3));
        assert_eq!(after(&log, 0), Some(vec![1, 2, 3]));
        assert_eq!(after(&log, 2), Some(vec![3]));
        assert_eq!(after(&log, 3), Some(vec![]));
        assert_eq!(after(&log, 4), None, "ahead of the log");
        assert_eq!(log.after(Position { log_id: [2; 16], seq: 1 }), None, "another log");
        assert_eq!(log.head(), Position { log_id: LOG, seq: 3 });
    }

    #[test]
    fn what_lies_before_a_gap_is_not_handed_out_across_it() {
        let log = RecentLog::default();
        log.append(LOG, &entries(1..=3));
        log.append(LOG, &entries(6..=7));
        assert_eq!(after(&log, 3), None);
        assert_eq!(after(&log, 5), Some(vec![6, 7]));
        log.begin_at(Position { log_id: LOG, seq: 9 });
        assert_eq!((after(&log, 7), after(&log, 9)), (None, Some(vec![])));
    }

    #[test]
    fn it_holds_the_newest_alone_and_hands_out_portions() {
        let log = RecentLog::default();
        let more = Sequence::try_from(KEPT).unwrap() + 10;
        log.append(LOG, &entries(1..=more));
        assert_eq!(after(&log, 9), None);
        assert_eq!(after(&log, 10).unwrap().len(), PORTION);
        assert_eq!(after(&log, more - 1), Some(vec![more]));
    }
}
