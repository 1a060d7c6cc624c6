//! Watches over one connection: counts its requests, and says when its client is too slow or idles for too long.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{Response, Version},
};
use http_body_util::BodyExt as _;
use tokio::time::{Interval, MissedTickBehavior};

use super::{
    connections::{Handle, Patience, Reason},
    limits::LongAnswer,
};

/// Counters of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    handle: Handle,
    begun: AtomicUsize,
    ended: AtomicUsize,
    reads: AtomicUsize,
    reads_at_end: AtomicUsize,
    is_http2: AtomicBool,
}

impl Activity {
    pub(super) fn new(handle: Handle) -> Arc<Self> {
        Arc::new(Self {
            handle,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            reads_at_end: AtomicUsize::new(0),
            is_http2: AtomicBool::new(false),
        })
    }

    /// `true` while a request is in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.begun.load(SeqCst) != self.ended.load(SeqCst)
    }

    /// Counts the connection as closed by the listener.
    pub(super) fn count_closed(&self, reason: Reason) {
        self.handle.connections().metrics().count(reason);
    }

    /// Counts a read from the connection.
    pub(super) fn count_read(&self) {
        self.reads.fetch_add(1, Relaxed);
    }
}

/// A request in flight. It ends when this is dropped: because it was answered, or because the client no longer waits.
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    pub(super) fn begin(activity: &Arc<Activity>, version: Version) -> Self {
        if version == Version::HTTP_2 {
            activity.is_http2.store(true, Relaxed);
        }
        let was_idle = activity.begun.fetch_add(1, SeqCst) == activity.ended.load(SeqCst);
        if was_idle {
            activity.handle.note(|| activity.is_busy());
        }
        Self(Arc::clone(activity))
    }

    /// Ends the request when its answer is ready. A [`LongAnswer`] ends when its body has been sent.
    pub(super) fn until_the_end_of(self, answer: Response<Body>) -> Response<Body> {
        if answer.extensions().get::<LongAnswer>().is_none() {
            return answer;
        }
        answer.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _in_flight = &self;
                frame
            }))
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.reads_at_end.store(activity.reads.load(Relaxed), Relaxed);
        activity.ended.fetch_add(1, SeqCst);
        if !activity.is_busy() {
            activity.handle.note(|| activity.is_busy());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Idle,
    Late,
}

/// Counts consecutive checks without a request in flight, and consecutive checks within a request head.
pub(super) struct Supervisor {
    checks: Interval,
    counts: Counts,
}

impl Supervisor {
    pub(super) fn new(period: Duration) -> Self {
        let mut checks = tokio::time::interval(period);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.reset();
        Self { checks, counts: Counts::default() }
    }

    /// Waits for the time of the next check, and checks.
    pub(super) async fn next_check(&mut self, activity: &Activity) -> Verdict {
        self.checks.tick().await;
        self.counts.check(activity, activity.handle.connections().patience())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    begun: usize,
    quiet: u32,
    in_head: u32,
}

impl Counts {
    fn check(&mut self, activity: &Activity, patience: Patience) -> Verdict {
        let (begun, ended) = (activity.begun.load(Relaxed), activity.ended.load(Relaxed));
        if begun != ended || begun != self.begun {
            *self = Self { begun, quiet: 0, in_head: 0 };
        }
        if begun != ended {
            return Verdict::Fine;
        }
        let has_read = activity.reads.load(Relaxed) != activity.reads_at_end.load(Relaxed);
        let is_in_head = begun == 0 || has_read && !activity.is_http2.load(Relaxed);
        self.quiet += 1;
        self.in_head = if is_in_head { self.in_head + 1 } else { 0 };
        if self.in_head >= patience.head {
            Verdict::Late
        } else if self.quiet >= patience.idle {
            Verdict::Idle
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{
        connections::{Place, tests::connections},
        limits::Limits,
    };

    /// The activity of the only connection of a port.
    fn activity() -> Arc<Activity> {
        let place = connections(Limits::default()).admit(Ipv4Addr::LOCALHOST.into());
        let Place { handle, .. } = place.unwrap();
        Activity::new(handle)
    }

    fn checks(counts: &mut Counts, activity: &Activity, count: u32) -> Vec<Verdict> {
        let patience = activity.handle.connections().patience();
        (0..count).map(|_| counts.check(activity, patience)).collect()
    }

    #[test]
    fn a_connection_that_never_asks_is_late_at_the_header_timeout() {
        let (mut counts, activity) = (Counts::default(), activity());
        assert_eq!(
            checks(&mut counts, &activity, 4),
            [Verdict::Fine, Verdict::Fine, Verdict::Fine, Verdict::Late]
        );
        let period = activity.handle.connections().patience().period;
        assert_eq!(period * 4, Limits::default().header_timeout);
    }

    #[test]
    fn between_requests_a_started_head_is_late_and_silence_is_idle() {
        let (mut counts, activity) = (Counts::default(), activity());
        let in_flight = InFlight::begin(&activity, Version::HTTP_11);
        assert!(activity.is_busy());
        assert_eq!(checks(&mut counts, &activity, 100), [Verdict::Fine; 100]);
        drop(in_flight);
        assert!(!activity.is_busy());
        assert_eq!(checks(&mut counts, &activity, 23), [Verdict::Fine; 23]);
        assert_eq!(checks(&mut counts, &activity, 1), [Verdict::Idle]);
        activity.count_read();
        assert_eq!(checks(&mut counts, &activity, 4)[3], Verdict::Late);
    }

    #[test]
    fn a_long_answer_is_in_flight_until_it_was_taken() {
        let activity = activity();
        let ended = || activity.ended.load(Relaxed);
        let begin = || InFlight::begin(&activity, Version::HTTP_2);
        let short = begin().until_the_end_of(Response::new(Body::empty()));
        assert_eq!(ended(), 1);
        drop(short);
        let mut long = Response::new(Body::empty());
        long.extensions_mut().insert(LongAnswer);
        let long = begin().until_the_end_of(long);
        assert_eq!(ended(), 1);
        drop(long);
        assert_eq!(ended(), 2);
    }

    #[test]
    fn an_http2_connection_is_idle_between_streams_whatever_it_pings() {
        let (mut counts, activity) = (Counts::default(), activity());
        drop(InFlight::begin(&activity, Version::HTTP_2));
        activity.count_read();
        assert_eq!(checks(&mut counts, &activity, 23), [Verdict::Fine; 23]);
        drop(InFlight::begin(&activity, Version::HTTP_2));
        assert_eq!(checks(&mut counts, &activity, 23), [Verdict::Fine; 23]);
        assert_eq!(checks(&mut counts, &activity, 1), [Verdict::Idle]);
    }
}
