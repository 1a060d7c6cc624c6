//! Those who watch at other processes, and those who have vanished, as the database tells of them. How long ago it was
//! true is counted on our own monotonic clock, from when it was first seen: clocks of other machines don't come into it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::watchers::WRITTEN_WITHIN;
use crate::{
    domain::watcher::{Applied, Watcher},
    store::{
        revocations::LogId,
        watchers::{ProcessId, WatcherRow},
    },
};

/// A process that has written nothing for so long is taken to be dead.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// So many looks in a row have to find nothing new, too: a clock may leap.
const LOOKS: u32 = 3;

/// What was seen of the watchers at other processes, and when.
#[derive(Debug, Default)]
pub struct RemoteWatchers(Mutex<HashMap<(ProcessId, i64), RemoteWatcher>>);

#[derive(Clone, Copy, Debug)]
struct RemoteWatcher {
    beats: i64,
    first_seen: Duration,
    /// For how long before that nobody had looked.
    unseen_for: Duration,
    last_seen: Duration,
    /// In how many looks it was the same.
    looks: u32,
}

impl RemoteWatchers {
    /// What the rows tell at that monotonic time of watchers of the log `log_id`; one of another log has applied nothing.
    #[must_use]
    pub fn known(&self, rows: &[WatcherRow], log_id: LogId, monotonic: Duration) -> Vec<Watcher> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |row: &WatcherRow| {
            let remote = *see(&mut seen, row, monotonic);
            let unchanged_for = monotonic.saturating_sub(remote.first_seen);
            // It may have been heard since it was written, but not for longer than this.
            let unwritten = if row.is_connected { WRITTEN_WITHIN } else { Duration::ZERO };
            let written_for = unchanged_for.saturating_add(row.silent_for);
            let seq = if row.log_id == log_id { row.applied.seq } else { 0 };
            Watcher {
                who: row.who.clone(),
                applied: Applied { seq, ..row.applied.clone() },
                is_connected: row.is_connected,
                arrival: Some(row.arrival),
                connected_at: row.connected_at,
                heard_at: row.heard_at,
                silent_for: written_for.saturating_sub(unwritten),
                silent_at_most: written_for.saturating_add(remote.unseen_for),
                clock_offset: row.clock_offset,
            }
        };
        rows.iter().map(known).collect()
    }

    /// Looks at all rows there are: answers those whose process is taken to be dead. To be called now and then.
    #[must_use]
    pub fn look(&self, rows: Vec<WatcherRow>, monotonic: Duration) -> Vec<WatcherRow> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|id, _| rows.iter().any(|row| (row.process, row.ordinal) == *id));
        let mut is_dead = |row: &WatcherRow| {
            let remote = see(&mut seen, row, monotonic);
            remote.looks += 1;
            row.is_connected
                && remote.looks >= LOOKS
                && monotonic.saturating_sub(remote.first_seen) > DEAD_AFTER
        };
        rows.into_iter().filter(|row| is_dead(row)).collect()
    }
}

fn see<'a>(
    seen: &'a mut HashMap<(ProcessId, i64), RemoteWatcher>,
    row: &WatcherRow,
    monotonic: Duration,
) -> &'a mut RemoteWatcher {
    let new = |unseen_for| RemoteWatcher {
        beats: row.beats,
        first_seen: monotonic,
        unseen_for,
        last_seen: monotonic,
        looks: 0,
    };
    let remote = seen.entry((row.process, row.ordinal)).or_insert_with(|| new(Duration::MAX));
    if remote.beats != row.beats {
        *remote = new(monotonic.saturating_sub(remote.last_seen));
    }
    remote.last_seen = monotonic;
    remote
}
