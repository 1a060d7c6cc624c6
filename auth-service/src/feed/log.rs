//! The newest entries of the revocation log, in memory.
//!
//! A watcher is only a position in the log. It has no queue, so a slow watcher costs no memory and delays nobody. A
//! watcher whose position is older than the oldest entry here gets a snapshot.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countermark::verify::{LogId, Position, Seq, Tag};
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
    /// The number and the tag of the entry before the first one in `entries`.
    floor: Seq,
    floor_tag: Tag,
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
    /// in another log, ahead of this log, or older than the entries in memory, or when its tag is another one.
    #[must_use]
    pub fn after(&self, position: Position) -> Option<Vec<LogEntry>> {
        let held = self.held();
        if position.log_id != held.log_id {
            return None;
        }
        if !held.tag_at(position.seq).agrees(position.tag) {
            return None;
        }
        let from = usize::try_from(position.seq.since(held.floor)?).ok()?;
        Some(held.entries.range(from..).take(PORTION).cloned().collect())
    }

    /// Whether this log has that position.
    #[must_use]
    pub fn has(&self, position: Position) -> bool {
        let held = self.held();
        position.log_id == held.log_id && held.tag_at(position.seq).agrees(position.tag)
    }

    /// Adds entries, which follow the head in order. After a gap only the entries behind it are held.
    pub(super) fn append(&self, entries: &[LogEntry]) {
        let mut held = self.held();
        for entry in entries {
            if entry.seq != held.head().later(1) {
                let (floor, log_id) = (entry.seq.previous(), held.log_id);
                *held = Held { log_id, floor, floor_tag: Tag::UNKNOWN, entries: VecDeque::new() };
            }
            if held.entries.len() == KEPT
                && let Some(oldest) = held.entries.pop_front()
            {
                (held.floor, held.floor_tag) = (oldest.seq, oldest.tag);
            }
            held.entries.push_back(entry.clone());
        }
        self.publish_head(&held);
    }

    /// Drops all entries, and continues at `position`.
    pub(super) fn begin_at(&self, position: Position) {
        let mut held = self.held();
        *held = Held {
            log_id: position.log_id,
            floor: position.seq,
            floor_tag: position.tag,
            entries: VecDeque::new(),
        };
        self.publish_head(&held);
    }

    fn publish_head(&self, held: &MutexGuard<'_, Held>) {
        let seq = held.head();
        self.head.send_replace(Position { log_id: held.log_id, seq, tag: held.tag_at(seq) });
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn head(&self) -> Seq {
        self.floor.later(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    /// The tag at that number. [`Tag::UNKNOWN`] for a number that is not held.
    fn tag_at(&self, seq: Seq) -> Tag {
        let place = seq.since(self.floor).and_then(|place| usize::try_from(place).ok());
        match place {
            Some(0) => self.floor_tag,
            Some(place) => self.entries.get(place - 1).map_or(Tag::UNKNOWN, |entry| entry.tag),
            None => Tag::UNKNOWN,
        }
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

    fn tag(seq: u64) -> Tag {
        Tag::new([u8::try_from(seq % 200).unwrap() + 1; 16])
    }

    fn at(seq: u64) -> Position {
        Position { log_id: LOG, seq: Seq::new(seq), tag: tag(seq) }
    }

    fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<LogEntry> {
        let entry = |seq: u64| LogEntry {
            seq: Seq::new(seq),
            revocation: Revocation::Token(format!("token-{seq}").parse().unwrap()),
            expires_at: None,
            tag: tag(seq),
        };
        range.map(entry).collect()
    }

    /// A log that begins at 0.
    fn log() -> RecentLog {
        let log = RecentLog::default();
        log.begin_at(at(0));
        log
    }

    fn after(log: &RecentLog, position: Position) -> Option<Vec<u64>> {
        Some(log.after(position)?.iter().map(|entry| entry.seq.number()).collect())
    }

    #[test]
    fn a_watcher_gets_what_it_lacks_and_nothing_at_the_head() {
        let log = log();
        log.append(&entries(1..=3));
        assert_eq!(after(&log, at(0)), Some(vec![1, 2, 3]));
        assert_eq!(after(&log, at(2)), Some(vec![3]));
        assert_eq!(after(&log, at(3)), Some(vec![]));
        assert_eq!(after(&log, at(4)), None, "ahead of the log");
        assert_eq!(log.head(), at(3));
    }

    #[test]
    fn a_position_of_another_log_or_with_another_tag_is_not_resumed() {
        let log = log();
        log.append(&entries(1..=3));
        for other in [
            Position { log_id: LogId::new([2; 16]), ..at(1) },
            Position { tag: Tag::new([9; 16]), ..at(1) },
            Position { tag: Tag::UNKNOWN, ..at(1) },
            Position { tag: Tag::new([9; 16]), ..at(0) },
        ] {
            assert_eq!((after(&log, other), log.has(other)), (None, false), "{other:?}");
        }
        assert!(log.has(at(0)) && log.has(at(3)) && !log.has(at(4)));
    }

    #[test]
    fn what_lies_before_a_gap_is_not_handed_out_across_it() {
        let log = log();
        log.append(&entries(1..=3));
        log.append(&entries(6..=7));
        assert_eq!(after(&log, at(3)), None);
        assert_eq!(after(&log, at(6)), Some(vec![7]));
        log.begin_at(at(9));
        assert_eq!((after(&log, at(7)), after(&log, at(9))), (None, Some(vec![])));
    }

    #[test]
    fn it_holds_the_newest_alone_and_hands_out_portions() {
        let log = log();
        let more = u64::try_from(KEPT).unwrap() + 10;
        log.append(&entries(1..=more));
        assert_eq!(after(&log, at(9)), None);
        assert_eq!(after(&log, at(10)).unwrap().len(), PORTION);
        assert_eq!(after(&log, at(more - 1)), Some(vec![more]));
    }
}
