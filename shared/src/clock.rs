//! Clocks that are passed in: the wall clock, which decides whether a token is valid, and the monotonic clock, which
//! measures waiting.
//!
//! No other file reads a clock; clippy's `disallowed-methods` enforces it. A test therefore moves the time of a whole
//! system with one `ManualClock`, and never sleeps.

mod conservative;

use std::{
    fmt::{self, Debug},
    ops::Sub,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use conservative::ConservativeClock;

/// An instant on the wall clock: whole milliseconds since 1970-01-01T00:00:00Z. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `millis` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The instant `seconds` seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down: a `NumericDate` (RFC 7519 §2).
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The instant `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The instant `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Time from `earlier` to this instant. Zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Sub for Timestamp {
    type Output = i64;

    /// Milliseconds from `rhs` to `self`. Negative when `rhs` is later.
    fn sub(self, rhs: Self) -> i64 {
        self.0.saturating_sub(rhs.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with whole seconds. An instant before 1970 is written as 1970, one after the year 9999 as its
    /// end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const YEAR_9999_ENDS: i64 = 253_402_300_799;
        let seconds = u64::try_from(self.unix_seconds().clamp(0, YEAR_9999_ENDS)).unwrap_or(0);
        let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds));
        fmt::Display::fmt(&text, f)
    }
}

impl serde::Serialize for Timestamp {
    /// RFC 3339 in UTC: the form of every time in JSON, except in token claims.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Source of time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock. It may be set back or forward at any moment.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start. It never goes back, whatever happens to the wall clock.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the machine. On Linux the monotonic clock also counts while the machine is suspended: during that time
/// a verifier hears nothing from the issuer, so its revocations become stale.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Duration,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: uptime() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time enters")]
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(millis(since)),
            Err(ahead) => Timestamp(millis(ahead.duration()).saturating_neg()),
        }
    }

    fn monotonic(&self) -> Duration {
        uptime().saturating_sub(self.started)
    }
}

/// Time since the machine started.
#[cfg(target_os = "linux")]
fn uptime() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Boottime)).unwrap_or_default()
}

/// Time since the first call.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the one place where time enters")]
fn uptime() -> Duration {
    static FIRST: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    FIRST.elapsed()
}

#[cfg(feature = "test-util")]
pub use manual::ManualClock;

#[cfg(feature = "test-util")]
mod manual {
    use std::{
        sync::{Arc, Mutex, MutexGuard, PoisonError},
        time::Duration,
    };

    use super::{Clock, Timestamp};

    /// A clock that moves only when a test moves it. Clones share the time.
    #[derive(Clone, Debug)]
    pub struct ManualClock(Arc<Mutex<State>>);

    #[derive(Debug)]
    struct State {
        now: Timestamp,
        monotonic: Duration,
    }

    impl ManualClock {
        /// A clock that shows `now`.
        #[must_use]
        pub fn at(now: Timestamp) -> Self {
            Self(Arc::new(Mutex::new(State { now, monotonic: Duration::ZERO })))
        }

        /// Moves both clocks forward by `span`.
        pub fn advance(&self, span: Duration) {
            let mut state = self.state();
            state.now = state.now.after(span);
            state.monotonic = state.monotonic.saturating_add(span);
        }

        /// Moves the monotonic clock forward by `span`. The wall clock does not move, as if it were set back
        /// continuously.
        pub fn advance_monotonic(&self, span: Duration) {
            let mut state = self.state();
            state.monotonic = state.monotonic.saturating_add(span);
        }

        /// Sets the wall clock, forward or back. The monotonic clock does not move.
        pub fn set(&self, now: Timestamp) {
            self.state().now = now;
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            self.state().now
        }

        fn monotonic(&self) -> Duration {
            self.state().monotonic
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_and_never_panic() {
        assert_eq!(Timestamp::from_unix_seconds(1_800_000_000).to_string(), "2027-01-15T08:00:00Z");
        assert_eq!(Timestamp::from_unix_millis(i64::MIN).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_unix_millis(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_unix_millis(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert_eq!(Timestamp::from_unix_seconds(i64::MAX), end);
        assert_eq!(Timestamp::default().since(end), Duration::ZERO);
        assert_eq!(Timestamp::from_unix_millis(-1).unix_seconds(), -1);
    }
}
