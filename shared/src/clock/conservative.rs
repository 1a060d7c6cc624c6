//! A wall clock that lags behind on purpose. It serves actions that cannot be undone, in case the wall clock turns out
//! to be wrong.

use std::{collections::VecDeque, time::Duration};

use super::{Clock, Timestamp};

/// A clock that shows a time only after the wall clock has been at or past it for a whole span. A wall clock that is
/// set ahead by mistake has no effect if it is corrected within the span.
#[derive(Clone, Debug, Default)]
pub struct ConservativeClock {
    /// Monotonic and wall time of earlier looks, oldest first. The wall times never decrease.
    seen: VecDeque<(Duration, Timestamp)>,
}

impl ConservativeClock {
    /// Reads both clocks. Returns the latest wall time that was shown at least `span` ago and that the clock has not
    /// fallen below since. `None` while no look is that old, since the start or since the wall clock was set back.
    pub fn look(&mut self, clock: &dyn Clock, span: Duration) -> Option<Timestamp> {
        let (at, now) = (clock.monotonic(), clock.now());
        while self.seen.back().is_some_and(|(_, later)| *later > now) {
            self.seen.pop_back();
        }
        self.seen.push_back((at, now));
        let began = at.checked_sub(span)?;
        // The last look before the span is the oldest that counts.
        while self.seen.get(1).is_some_and(|(at, _)| *at <= began) {
            self.seen.pop_front();
        }
        self.seen.front().filter(|(at, _)| *at <= began).map(|(_, then)| *then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds on the monotonic clock and on the wall clock.
    #[derive(Debug)]
    struct At(u64, i64);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(self.1)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0)
        }
    }

    const SPAN: Duration = Duration::from_secs(10);

    /// Result of each look, in seconds.
    fn settled<const N: usize>(looks: [At; N]) -> [Option<i64>; N] {
        let mut time = ConservativeClock::default();
        looks.map(|at| time.look(&at, SPAN).map(Timestamp::unix_seconds))
    }

    #[test]
    fn it_follows_the_wall_clock_a_span_behind() {
        let looks = [At(3, 103), At(8, 108), At(13, 113), At(18, 118), At(90, 190), At(91, 191)];
        assert_eq!(settled(looks), [None, None, Some(103), Some(108), Some(118), Some(118)]);
    }

    #[test]
    fn a_clock_that_was_ahead_for_less_than_a_span_has_no_effect() {
        let looks = [At(0, 100), At(10, 110), At(15, 9_000), At(19, 9_004), At(20, 120), At(30, 130)];
        assert_eq!(settled(looks), [None, Some(100), Some(100), Some(100), Some(110), Some(120)]);
    }

    #[test]
    fn a_clock_that_stays_ahead_is_trusted_after_a_span() {
        let looks = [At(0, 100), At(5, 9_000), At(14, 9_009), At(15, 9_010)];
        assert_eq!(settled(looks), [None, None, Some(100), Some(9_000)]);
    }

    #[test]
    fn a_clock_that_was_set_back_is_trusted_after_a_span() {
        let looks = [At(0, 100), At(10, 110), At(11, 50), At(20, 59), At(21, 60)];
        assert_eq!(settled(looks), [None, Some(100), None, None, Some(50)]);
    }
}
