//! Watchers of other processes, and watchers that lost their connection, as the database lists them.
//!
//! Ages are measured on this process's monotonic clock, from the moment at which it first saw a row change. So the
//! clocks of other machines don't matter.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use countermark::verify::{LogId, Seq};

use super::watchers::WRITTEN_WITHIN;
use crate::{
    domain::watcher::{Applied, ProcessId, Watcher},
    store::watchers::WatcherRow,
};

/// A process that has written nothing for this long is considered dead.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// A process is considered dead only after this many checks without a change, because a clock may jump.
const MIN_CHECKS: u32 = 3;

/// The observed state of each remote watcher's row.
#[derive(Debug, Default)]
pub struct RemoteWatchers(Mutex<HashMap<(ProcessId, i64), RemoteWatcher>>);

#[derive(Clone, Copy, Debug)]
struct RemoteWatcher {
    beats: i64,
    first_seen: Duration,
    /// The time between the previous check and `first_seen`.
    unseen_for: Duration,
    last_seen: Duration,
    /// Number of checks that found the row unchanged.
    checks: u32,
}

impl RemoteWatchers {
    /// The watchers that `rows` describe, at the instant `monotonic`. A watcher of another log than `log_id` counts
    /// as having applied nothing.
    #[must_use]
    pub fn known(&self, rows: &[WatcherRow], log_id: LogId, monotonic: Duration) -> Vec<Watcher> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |row: &WatcherRow| {
            let remote = *observe(&mut seen, row, monotonic);
            let unchanged_for = monotonic.saturating_sub(remote.first_seen);
            // The watcher may have sent something after its row was written, but no later than this.
            let unwritten = if row.is_connected { WRITTEN_WITHIN } else { Duration::ZERO };
            let written_for = unchanged_for.saturating_add(row.silent_for);
            let seq = if row.log_id == log_id { row.applied.seq } else { Seq::START };
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

    /// Checks all rows. Returns the watchers whose process is considered dead. Called periodically.
    #[must_use]
    pub fn look(&self, rows: Vec<WatcherRow>, monotonic: Duration) -> Vec<WatcherRow> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|id, _| rows.iter().any(|row| (row.process, row.ordinal) == *id));
        let mut is_dead = |row: &WatcherRow| {
            let remote = observe(&mut seen, row, monotonic);
            remote.checks += 1;
            row.is_connected
                && remote.checks >= MIN_CHECKS
                && monotonic.saturating_sub(remote.first_seen) > DEAD_AFTER
        };
        rows.into_iter().filter(|row| is_dead(row)).collect()
    }
}

fn observe<'a>(
    seen: &'a mut HashMap<(ProcessId, i64), RemoteWatcher>,
    row: &WatcherRow,
    monotonic: Duration,
) -> &'a mut RemoteWatcher {
    let new = |unseen_for| RemoteWatcher {
        beats: row.beats,
        first_seen: monotonic,
        unseen_for,
        last_seen: monotonic,
        checks: 0,
    };
    let remote = seen.entry((row.process, row.ordinal)).or_insert_with(|| new(Duration::MAX));
    if remote.beats != row.beats {
        *remote = new(monotonic.saturating_sub(remote.last_seen));
    }
    remote.last_seen = monotonic;
    remote
}
