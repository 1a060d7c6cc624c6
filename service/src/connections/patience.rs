//! How long a port waits for its clients. It gets impatient as it fills: from half full on the time-outs shrink linearly.

use std::time::Duration;

/// How often a connection is checked within the time-out of a request head.
const CHECKS_PER_HEAD: u32 = 4;

/// The share of the time-out of an idle connection that is left when the port is full: an eighth.
const IDLE_DIVISOR: u32 = 8;

/// The time-outs of one port, in checks of a fixed period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// The time between two checks of a connection.
    pub(crate) period: Duration,
    /// Checks within a request head, or without a first request, after which a connection is closed.
    pub(crate) head: u32,
    /// Checks without a request in flight after which a connection is closed.
    pub(crate) idle: u32,
}

impl Patience {
    /// The time-outs of a port that is less than half full.
    pub(crate) fn new(head: Duration, idle: Duration) -> Self {
        let period = (head / CHECKS_PER_HEAD).max(Duration::from_millis(1));
        let checks = idle.as_millis() / period.as_millis().max(1);
        Self { period, head: CHECKS_PER_HEAD, idle: u32::try_from(checks).unwrap_or(u32::MAX).max(1) }
    }

    /// The time-outs of a port with `open` of `limit` connections. A full one waits for a head one check long, and keeps an idle
    /// connection an eighth of the time.
    pub(crate) fn when(self, open: usize, limit: usize) -> Self {
        let full_idle = (self.idle / IDLE_DIVISOR).max(1);
        Self {
            head: between(self.head, 1, open, limit),
            idle: between(self.idle, full_idle, open, limit),
            ..self
        }
    }
}

/// From `slow` at half full to `fast` at full.
fn between(slow: u32, fast: u32, open: usize, limit: usize) -> u32 {
    let half = limit / 2;
    let past = open.saturating_sub(half).min(limit - half) as u64;
    let span = (limit - half).max(1) as u64;
    let less = u64::from(slow.saturating_sub(fast)) * past / span;
    slow - u32::try_from(less).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_shrink_between_half_full_and_full() {
        let patience = Patience::new(Duration::from_secs(10), Duration::from_mins(1));
        assert_eq!(patience, Patience { period: Duration::from_millis(2_500), head: 4, idle: 24 });
        for (open, head, idle) in [
            (0, 4, 24),
            (2_048, 4, 24),
            (2_100, 4, 24),
            (3_072, 3, 14),
            (4_000, 2, 4),
            (4_096, 1, 3),
            (9_000, 1, 3),
        ] {
            assert_eq!(patience.when(open, 4_096), Patience { head, idle, ..patience }, "{open}");
        }
    }

    #[test]
    fn they_never_grow_with_the_number_and_never_are_nothing() {
        let patience = Patience::new(Duration::from_millis(40), Duration::from_millis(10));
        for limit in 1..=20 {
            let mut last = patience;
            for open in 0..=2 * limit {
                let next = patience.when(open, limit);
                assert!(next.head <= last.head && next.idle <= last.idle && next.head >= 1 && next.idle >= 1);
                last = next;
            }
            assert_eq!((last.head, last.idle), (1, 1));
        }
    }
}
