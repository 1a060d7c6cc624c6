//! When a verifier forgets what has expired: by no clock that was ahead.

use std::time::Duration;

use crate::clock::Timestamp;

/// How often.
const INTERVAL: Duration = Duration::from_mins(1);

/// For how long the clocks are looked at first: a wall clock that was wrong at the start has been set right by then.
const SETTLING: Duration = Duration::from_mins(15);

/// When it is time to forget, by the slowest wall clock that there was: one that is set forward, and back again, makes nothing
/// forgotten that living tokens match.
#[derive(Debug)]
pub(super) struct Forgetting {
    slowest: Slowest,
    due: Duration,
}

impl Forgetting {
    /// For a verifier that starts now, on the monotonic clock.
    pub(super) fn beginning_at(monotonic: Duration) -> Self {
        Self { slowest: Slowest::default(), due: monotonic.saturating_add(SETTLING) }
    }

    /// By when has expired what is to be forgotten, when it is time to; to be asked often, for a clock that was not looked at
    /// while it was right is not known to be ahead.
    pub(super) fn due(&mut self, wall: Timestamp, monotonic: Duration) -> Option<Timestamp> {
        let now = self.slowest.now(wall, monotonic);
        if monotonic < self.due {
            return None;
        }
        self.due = monotonic.saturating_add(INTERVAL);
        Some(now)
    }
}

/// The slowest wall clock of the last day or two: as the machine's runs on from where it was most behind. One that was far
/// behind, and was set right, is followed again after that time.
#[derive(Debug)]
struct Slowest {
    /// From the monotonic clock to it, in milliseconds: the least since `since`, and in the day before.
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
