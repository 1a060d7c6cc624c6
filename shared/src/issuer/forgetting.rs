//! Decides when a verifier removes expired revocations. A clock that is ahead must not remove them too early.

use std::time::Duration;

use crate::clock::Timestamp;

/// Interval between two removals.
const INTERVAL: Duration = Duration::from_mins(1);

/// Time to observe the clocks first. A wall clock that was wrong at the start is usually corrected by then.
const SETTLING: Duration = Duration::from_mins(15);

/// Uses the slowest wall clock that was seen. A clock that is set forward and back again removes no revocation that living
/// tokens match.
#[derive(Debug)]
pub(super) struct Forgetting {
    slowest: Slowest,
    due: Duration,
}

impl Forgetting {
    /// Starts now, on the monotonic clock.
    pub(super) fn beginning_at(monotonic: Duration) -> Self {
        Self { slowest: Slowest::default(), due: monotonic.saturating_add(SETTLING) }
    }

    /// The instant whose expired revocations can be removed, when it is time. Call it often: it finds out that a clock is ahead
    /// only if it saw the clock before.
    pub(super) fn due(&mut self, wall: Timestamp, monotonic: Duration) -> Option<Timestamp> {
        let now = self.slowest.now(wall, monotonic);
        if monotonic < self.due {
            return None;
        }
        self.due = monotonic.saturating_add(INTERVAL);
        Some(now)
    }
}

/// The slowest wall clock of the last one or two days: the machine's clock at its smallest offset. A clock that was far behind
/// and was corrected is followed again after that time.
#[derive(Debug)]
struct Slowest {
    /// Smallest offsets from the monotonic clock, in milliseconds: since `since`, and in the day before.
    offsets: [i64; 2],
    since: Duration,
}

impl Default for Slowest {
    fn default() -> Self {
        Self { offsets: [i64::MAX; 2], since: Duration::ZERO }
    }
}

impl Slowest {
    const DAY: Duration = Duration::from_hours(24);

    fn now(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let uptime = i64::try_from(monotonic.as_millis()).unwrap_or(i64::MAX);
        let offset = wall.unix_millis().saturating_sub(uptime);
        let [latest, earlier] = self.offsets;
        if monotonic.saturating_sub(self.since) < Self::DAY {
            self.offsets = [latest.min(offset), earlier];
        } else {
            (self.offsets, self.since) = ([offset, latest], monotonic);
        }
        let [latest, earlier] = self.offsets;
        Timestamp::from_unix_millis(latest.min(earlier).saturating_add(uptime))
    }
}

#[cfg(test)]
mod tests;
