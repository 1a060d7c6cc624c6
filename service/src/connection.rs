//! Serves one connection: HTTP/1 or HTTP/2, with or without TLS.
//!
//! A supervisor closes the connection when the client is too slow with a TLS handshake or a request head, or when it
//! is idle for too long.
//!
//! The supervisor replaces hyper's `header_read_timeout`. That one sets a timer for each request, starts only when
//! the protocol is known, and can't tell a slow head from an idle connection. The supervisor checks the connection
//! four times per header time-out, and costs a request only a few counter increments.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Response, Version},
};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{Interval, MissedTickBehavior},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    limits::{Limits, LongAnswer},
    stream::Stream,
};

const CHECKS_PER_HEAD: u32 = 4;

/// The configuration of all connections of one listener.
pub(super) struct Protocol {
    builder: Builder<TokioExecutor>,
    router: Router,
    limits: Limits,
}

impl Protocol {
    pub(super) fn new(router: Router, limits: &Limits) -> Self {
        const SMALLEST: usize = 8 * 1024; // hyper panics below it
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().header_read_timeout(None).max_buf_size(limits.header_bytes.max(SMALLEST));
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(64)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(256 * 1024)
            .max_send_buf_size(64 * 1024);
        Self { builder, router, limits: limits.clone() }
    }

    /// Serves the connection until the client closes it or the supervisor does. After `stop`, serves only the
    /// requests in flight.
    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        peer: SocketAddr,
        stop: CancellationToken,
    ) {
        let activity = Arc::new(Activity::default());
        let mut supervisor = Supervisor::new(&self.limits);
        let mut checks = tokio::time::interval(supervisor.period);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        checks.reset();
        let stream = match tls {
            None => Stream::Plain(stream),
            // Boxed, so that connections without TLS need no space for the handshake.
            Some(tls) => tokio::select! {
                stream = Box::pin(handshake(tls, stream, peer)) => match stream {
                    Some(stream) => stream,
                    None => return,
                },
                () = stop.cancelled() => return,
                () = late(&mut supervisor, &mut checks, &activity) => return,
            },
        };
        let service = service_fn(|mut request: Request<Incoming>| {
            let in_flight = InFlight::begin(&activity, request.version());
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = self.router.clone().call(request);
            async move {
                let answer = answer.await;
                answer.map(|answer| in_flight.until_the_end_of(answer))
            }
        });
        let counted = TokioIo::new(CountedStream { stream, activity: Arc::clone(&activity) });
        let mut connection = pin!(self.builder.serve_connection(counted, service));
        let mut is_closing = false;
        loop {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = stop.cancelled(), if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = checks.tick() => match supervisor.check(&activity) {
                    Verdict::Fine => {}
                    Verdict::Idle if !is_closing => {
                        is_closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Idle | Verdict::Late => return,
                },
            }
        }
    }
}

/// Returns when the client has sent no request within its time.
async fn late(supervisor: &mut Supervisor, checks: &mut Interval, activity: &Activity) {
    while supervisor.next_check(checks, activity).await == Verdict::Fine {}
}

/// Performs the TLS handshake. `None` when it fails; the connection is closed then.
async fn handshake(tls: TlsAcceptor, stream: TcpStream, peer: SocketAddr) -> Option<Stream> {
    let (error, mut stream) = match tls.accept(stream).into_fallible().await {
        Ok(stream) => return Some(Stream::Secured(Box::new(stream))),
        Err(refused) => refused,
    };
    // A client that only checks whether the port is open is not logged.
    if error.kind() == io::ErrorKind::InvalidData {
        tracing::info!(client.address = %peer.ip(), reason = %error, "TLS refused");
    }
    // Shutting down fails if the client has closed the connection already.
    let _ = stream.shutdown().await;
    None
}

/// Counters of one connection.
#[derive(Default)]
struct Activity {
    begun: AtomicUsize,
    ended: AtomicUsize,
    reads: AtomicUsize,
    reads_at_end: AtomicUsize,
    is_http2: AtomicBool,
}

/// A request in flight. It ends when this is dropped: because it was answered, or because the client no longer waits.
struct InFlight(Arc<Activity>);

impl InFlight {
    fn begin(activity: &Arc<Activity>, version: Version) -> Self {
        activity.begun.fetch_add(1, Relaxed);
        if version == Version::HTTP_2 {
            activity.is_http2.store(true, Relaxed);
        }
        Self(Arc::clone(activity))
    }

    /// Ends the request when its answer is ready. A [`LongAnswer`] ends when its body has been sent.
    fn until_the_end_of(self, answer: Response<Body>) -> Response<Body> {
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
        self.0.reads_at_end.store(self.0.reads.load(Relaxed), Relaxed);
        self.0.ended.fetch_add(1, Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Idle,
    Late,
}

/// Counts consecutive checks without a request in flight, and consecutive checks within a request head.
struct Supervisor {
    period: Duration,
    idle_checks: u32,
    begun: usize,
    quiet: u32,
    in_head: u32,
}

impl Supervisor {
    fn new(limits: &Limits) -> Self {
        let period = (limits.header_timeout / CHECKS_PER_HEAD).max(Duration::from_millis(1));
        let idle_checks = limits.idle_timeout.as_millis() / period.as_millis().max(1);
        let idle_checks = u32::try_from(idle_checks).unwrap_or(u32::MAX);
        Self { period, idle_checks, begun: 0, quiet: 0, in_head: 0 }
    }

    async fn next_check(&mut self, checks: &mut Interval, activity: &Activity) -> Verdict {
        checks.tick().await;
        self.check(activity)
    }

    fn check(&mut self, activity: &Activity) -> Verdict {
        let (begun, ended) = (activity.begun.load(Relaxed), activity.ended.load(Relaxed));
        if begun != ended || begun != self.begun {
            *self = Self { begun, quiet: 0, in_head: 0, ..*self };
        }
        if begun != ended {
            return Verdict::Fine;
        }
        let has_read = activity.reads.load(Relaxed) != activity.reads_at_end.load(Relaxed);
        let is_in_head = begun == 0 || has_read && !activity.is_http2.load(Relaxed);
        self.quiet += 1;
        self.in_head = if is_in_head { self.in_head + 1 } else { 0 };
        match (self.in_head, self.quiet) {
            (CHECKS_PER_HEAD.., _) => Verdict::Late,
            (_, quiet) if quiet >= self.idle_checks => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}

/// A stream that counts its reads.
struct CountedStream {
    stream: Stream,
    activity: Arc<Activity>,
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.activity.reads.fetch_add(1, Relaxed);
        }
        read
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(supervisor: &mut Supervisor, activity: &Activity, count: u32) -> Vec<Verdict> {
        (0..count).map(|_| supervisor.check(activity)).collect()
    }

    fn supervisor() -> Supervisor {
        Supervisor::new(&Limits::default())
    }

    #[test]
    fn a_connection_that_never_asks_is_late_at_the_header_timeout() {
        let (mut supervisor, activity) = (supervisor(), Activity::default());
        assert_eq!(
            checks(&mut supervisor, &activity, 4),
            [Verdict::Fine, Verdict::Fine, Verdict::Fine, Verdict::Late]
        );
        assert_eq!(supervisor.period * 4, Limits::default().header_timeout);
    }

    #[test]
    fn between_requests_a_started_head_is_late_and_silence_is_idle() {
        let (mut supervisor, activity) = (supervisor(), Arc::new(Activity::default()));
        let in_flight = InFlight::begin(&activity, Version::HTTP_11);
        assert_eq!(checks(&mut supervisor, &activity, 100), [Verdict::Fine; 100]);
        drop(in_flight);
        assert_eq!(checks(&mut supervisor, &activity, 23), [Verdict::Fine; 23]);
        assert_eq!(supervisor.check(&activity), Verdict::Idle);
        activity.reads.fetch_add(1, Relaxed);
        assert_eq!(checks(&mut supervisor, &activity, 4)[3], Verdict::Late);
    }

    #[test]
    fn a_long_answer_is_in_flight_until_it_was_taken() {
        let activity = Arc::new(Activity::default());
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
        let (mut supervisor, activity) = (supervisor(), Arc::new(Activity::default()));
        drop(InFlight::begin(&activity, Version::HTTP_2));
        activity.reads.fetch_add(1, Relaxed);
        assert_eq!(checks(&mut supervisor, &activity, 23), [Verdict::Fine; 23]);
        drop(InFlight::begin(&activity, Version::HTTP_2));
        assert_eq!(checks(&mut supervisor, &activity, 23), [Verdict::Fine; 23]);
        assert_eq!(supervisor.check(&activity), Verdict::Idle);
    }
}
