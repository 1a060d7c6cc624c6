//! What the doctor sees of the watchers: it waits until a watcher whose process is dead no longer looks alive.
//! [`diagnose`](crate::ops::AuthService::diagnose) finds what is wrong with them.

use std::time::Duration;

use countermark::verify::Position;

use super::Watch;
use crate::{
    domain::watcher::{Watcher, current},
    ops::Fault,
    store::watchers::WatcherRow,
};

/// The pause between two looks at the processes that are watched at.
const LOOK: Duration = Duration::from_millis(100);

/// A process has so many looks to give a sign of life.
const LOOKS: usize = 25;

/// The fewest looks. What is under way gets that far.
const LEAST_LOOKS: usize = 5;

impl Watch {
    /// The watchers at other processes, as stored; a process that gives no sign of life has lost its watchers.
    pub(in crate::ops) async fn settled_rows(&self) -> Result<Vec<WatcherRow>, Fault> {
        let elsewhere = || self.context.store.watchers_elsewhere(self.local.process());
        let before = elsewhere()?;
        let mut rows = before.clone();
        for look in 0..LOOKS {
            if look >= LEAST_LOOKS && rows.iter().all(|row| !row.is_connected || has_moved(row, &before)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
            rows = elsewhere()?;
        }
        for row in &mut rows {
            row.is_connected &= has_moved(row, &before);
        }
        Ok(rows)
    }

    /// Those watchers, and the watchers of this process.
    pub(in crate::ops) fn with_local(&self, rows: &[WatcherRow], head: Position) -> Vec<Watcher> {
        let monotonic = self.context.clock.monotonic();
        let mut watchers = self.local.known(head.log_id, monotonic);
        watchers.extend(self.remote.known(rows, head.log_id, monotonic));
        current(&watchers)
    }
}

/// Whether that row was written since.
fn has_moved(row: &WatcherRow, before: &[WatcherRow]) -> bool {
    let is_as_it_was =
        |old: &WatcherRow| (old.process, old.ordinal, old.beats) == (row.process, row.ordinal, row.beats);
    !before.iter().any(is_as_it_was)
}
