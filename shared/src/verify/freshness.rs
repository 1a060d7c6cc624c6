//! Freshness of a verifier: the last log entry that it has applied, and the time since the issuer last confirmed that
//! there is no later one. Instants come from the monotonic clock, as arguments.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::verify::{Position, ProvenPosition, Seq};

/// Longest silence of a live stream: 5 seconds. The issuer answers every second, so an open stream that is silent for
/// longer counts as dead.
pub const SILENCE: Duration = Duration::from_secs(5);

/// How current a verifier is. One task updates it, many tasks read it.
#[derive(Debug, Default)]
pub struct Freshness {
    position: Mutex<Option<Position>>,
    /// The last position that the issuer has proven.
    proven: Mutex<Option<ProvenPosition>>,
    /// Instant at which the latest answered question was sent, in nanoseconds, plus one. 0 when none was answered.
    heard_at: AtomicU64,
    /// Whether a stream is open and the issuer has answered on it.
    is_streaming: AtomicBool,
}

impl Freshness {
    /// The verifier's position in the log. `None` while no log is known.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last position that the issuer has proven. The next stream shows it to the issuer.
    #[must_use]
    pub fn proven(&self) -> Option<ProvenPosition> {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a position that the issuer has proven.
    pub fn prove(&self, proven: ProvenPosition) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(proven);
    }

    /// Sequence number of the last applied entry. [`Seq::START`] when none was applied.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.position().map_or(Seq::START, |position| position.seq)
    }

    /// Time at `now` since the latest answered question was *sent*. The verifier knows every revocation before that
    /// instant. `None` when the issuer has answered nothing yet.
    #[must_use]
    pub fn heard_ago(&self, now: Duration) -> Option<Duration> {
        let nanos = self.heard_at.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_nanos(nanos)))
    }

    /// Whether [`heard_ago`](Self::heard_ago) is longer than `after` at `now`, or `None`.
    #[must_use]
    pub fn is_stale(&self, now: Duration, after: Duration) -> bool {
        self.heard_ago(now).is_none_or(|ago| ago > after)
    }

    /// Whether each new revocation and key set arrives at once at `now`: a stream is open, and not silent for more than
    /// [`SILENCE`].
    #[must_use]
    pub fn is_live(&self, now: Duration) -> bool {
        self.is_streaming.load(Ordering::Acquire) && !self.is_stale(now, SILENCE)
    }

    /// Records that all entries up to `position` are applied.
    pub fn stand_at(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
    }

    /// Records that the issuer answered a question that was sent at `sent_at`. All that the issuer sent before this
    /// answer must be applied already.
    pub fn answered(&self, sent_at: Duration) {
        let nanos = u64::try_from(sent_at.as_nanos()).unwrap_or(u64::MAX - 1);
        self.heard_at.fetch_max(nanos.saturating_add(1), Ordering::AcqRel);
        self.is_streaming.store(true, Ordering::Release);
    }

    /// Records the end of the stream.
    pub fn cut_off(&self) {
        self.is_streaming.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_verifier_without_an_answer_is_stale() {
        let freshness = Freshness::default();
        assert!(freshness.is_stale(at(0), Duration::MAX));
        assert_eq!(freshness.heard_ago(at(9)), None);
        assert!(!freshness.is_live(at(0)));
    }

    #[test]
    fn it_counts_from_when_the_question_was_sent_and_never_back() {
        let freshness = Freshness::default();
        freshness.answered(at(10));
        freshness.answered(at(7));
        assert_eq!(freshness.heard_ago(at(14)), Some(at(4)));
        assert!(!freshness.is_stale(at(15), at(5)));
        assert!(freshness.is_stale(at(15) + Duration::from_nanos(1), at(5)));
    }

    #[test]
    fn a_question_sent_at_the_beginning_of_time_was_sent() {
        let freshness = Freshness::default();
        freshness.answered(at(0));
        assert_eq!(freshness.heard_ago(at(0)), Some(at(0)));
    }

    #[test]
    fn a_silent_or_broken_stream_is_not_live() {
        let freshness = Freshness::default();
        freshness.answered(at(10));
        assert!(freshness.is_live(at(15)));
        assert!(!freshness.is_live(at(16)));
        freshness.cut_off();
        assert!(!freshness.is_live(at(10)));
    }
}
