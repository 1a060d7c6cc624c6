//! One connection, from its first byte to its end: HTTP/1 or HTTP/2, in the clear or under TLS, and a watch over the
//! client that cuts off one that is slow with a handshake or a head, and lets go of one that is idle.
//!
//! The watch stands in for hyper's `header_read_timeout`, which arms a timer for each request, doesn't start before
//! the protocol is known, and can't tell a slow head from an idle connection. This one looks at the connection four
//! times per header time-out and costs a request a few counter increments.

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
    listener::{Limits, LongAnswer},
    stream::Stream,
};

const LOOKS_PER_HEAD: u32 = 4;

/// How every connection of one listener is served.
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

    /// Serves until the client is done, or let go of, or until `stop` and then until its requests are answered.
    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        peer: SocketAddr,
        stop: CancellationToken,
    ) {
        let pulse = Arc::new(Pulse::default());
        let mut watch = Watch::new(&self.limits);
        let mut looks = tokio::time::interval(watch.period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        let stream = match tls {
            None => Stream::Plain(stream),
            // Boxed: connections in the clear need not have room for it.
            Some(tls) => tokio::select! {
                stream = Box::pin(handshake(tls, stream, peer)) => match stream {
                    Some(stream) => stream,
                    None => return,
                },
                () = stop.cancelled() => return,
                () = late(&mut watch, &mut looks, &pulse) => return,
            },
        };
        let service = service_fn(|mut request: Request<Incoming>| {
            let in_flight = InFlight::begin(&pulse, request.version());
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = self.router.clone().call(request);
            async move {
                let answer = answer.await;
                answer.map(|answer| in_flight.until_the_end_of(answer))
            }
        });
        let heard = TokioIo::new(LastSeen { stream, pulse: Arc::clone(&pulse) });
        let mut connection = pin!(self.builder.serve_connection(heard, service));
        let mut is_closing = false;
        loop {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = stop.cancelled(), if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = looks.tick() => match watch.look(&pulse) {
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

/// Ends when a client that has not asked yet has had its time.
async fn late(watch: &mut Watch, looks: &mut Interval, pulse: &Pulse) {
    while watch.look_at(looks, pulse).await == Verdict::Fine {}
}

/// The connection under TLS; that of a client that doesn't speak it, or whose certificate isn't taken, is closed.
async fn handshake(tls: TlsAcceptor, stream: TcpStream, peer: SocketAddr) -> Option<Stream> {
    let (error, mut stream) = match tls.accept(stream).into_fallible().await {
        Ok(stream) => return Some(Stream::Secured(Box::new(stream))),
        Err(refused) => refused,
    };
    // Whoever only looks whether the port is open is no news.
    if error.kind() == io::ErrorKind::InvalidData {
        tracing::info!(client.address = %peer.ip(), reason = %error, "TLS refused");
    }
    // It may be gone already.
    let _ = stream.shutdown().await;
    None
}

/// What has happened on a connection so far.
#[derive(Default)]
struct Pulse {
    begun: AtomicUsize,
    ended: AtomicUsize,
    reads: AtomicUsize,
    reads_at_end: AtomicUsize,
    is_http2: AtomicBool,
}

/// A request that has begun and not ended, be it that its answer is not ready or that nobody waits for it any more.
struct InFlight(Arc<Pulse>);

impl InFlight {
    fn begin(pulse: &Arc<Pulse>, version: Version) -> Self {
        pulse.begun.fetch_add(1, Relaxed);
        if version == Version::HTTP_2 {
            pulse.is_http2.store(true, Relaxed);
        }
        Self(Arc::clone(pulse))
    }

    /// It is over now that there is an answer; a long one has to be taken first.
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

/// Counts for how many looks in a row a connection has been without a request, and within a head.
struct Watch {
    period: Duration,
    idle_looks: u32,
    begun: usize,
    quiet: u32,
    in_head: u32,
}

impl Watch {
    fn new(limits: &Limits) -> Self {
        let period = (limits.header_timeout / LOOKS_PER_HEAD).max(Duration::from_millis(1));
        let idle_looks = limits.idle_timeout.as_millis() / period.as_millis().max(1);
        let idle_looks = u32::try_from(idle_looks).unwrap_or(u32::MAX);
        Self { period, idle_looks, begun: 0, quiet: 0, in_head: 0 }
    }

    async fn look_at(&mut self, looks: &mut Interval, pulse: &Pulse) -> Verdict {
        looks.tick().await;
        self.look(pulse)
    }

    fn look(&mut self, pulse: &Pulse) -> Verdict {
        let (begun, ended) = (pulse.begun.load(Relaxed), pulse.ended.load(Relaxed));
        if begun != ended || begun != self.begun {
            *self = Self { begun, quiet: 0, in_head: 0, ..*self };
        }
        if begun != ended {
            return Verdict::Fine;
        }
        let has_read = pulse.reads.load(Relaxed) != pulse.reads_at_end.load(Relaxed);
        let is_in_head = begun == 0 || has_read && !pulse.is_http2.load(Relaxed);
        self.quiet += 1;
        self.in_head = if is_in_head { self.in_head + 1 } else { 0 };
        match (self.in_head, self.quiet) {
            (LOOKS_PER_HEAD.., _) => Verdict::Late,
            (_, quiet) if quiet >= self.idle_looks => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}

/// A stream that counts what it hears.
struct LastSeen {
    stream: Stream,
    pulse: Arc<Pulse>,
}

impl AsyncRead for LastSeen {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.pulse.reads.fetch_add(1, Relaxed);
        }
        read
    }
}

impl AsyncWrite for LastSeen {
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

    fn looks(watch: &mut Watch, pulse: &Pulse, count: u32) -> Vec<Verdict> {
        (0..count).map(|_| watch.look(pulse)).collect()
    }

    fn watch() -> Watch {
        Watch::new(&Limits::default())
    }

    #[test]
    fn a_connection_that_never_asks_is_late_at_the_header_timeout() {
        let (mut watch, pulse) = (watch(), Pulse::default());
        assert_eq!(
            looks(&mut watch, &pulse, 4),
            [Verdict::Fine, Verdict::Fine, Verdict::Fine, Verdict::Late]
        );
        assert_eq!(watch.period * 4, Limits::default().header_timeout);
    }

    #[test]
    fn between_requests_a_started_head_is_late_and_silence_is_idle() {
        let (mut watch, pulse) = (watch(), Arc::new(Pulse::default()));
        let in_flight = InFlight::begin(&pulse, Version::HTTP_11);
        assert_eq!(looks(&mut watch, &pulse, 100), [Verdict::Fine; 100]);
        drop(in_flight);
        assert_eq!(looks(&mut watch, &pulse, 23), [Verdict::Fine; 23]);
        assert_eq!(watch.look(&pulse), Verdict::Idle);
        pulse.reads.fetch_add(1, Relaxed);
        assert_eq!(looks(&mut watch, &pulse, 4)[3], Verdict::Late);
    }

    #[test]
    fn a_long_answer_is_in_flight_until_it_was_taken() {
        let pulse = Arc::new(Pulse::default());
        let ended = || pulse.ended.load(Relaxed);
        let begin = || InFlight::begin(&pulse, Version::HTTP_2);
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
        let (mut watch, pulse) = (watch(), Arc::new(Pulse::default()));
        drop(InFlight::begin(&pulse, Version::HTTP_2));
        pulse.reads.fetch_add(1, Relaxed);
        assert_eq!(looks(&mut watch, &pulse, 23), [Verdict::Fine; 23]);
        drop(InFlight::begin(&pulse, Version::HTTP_2));
        assert_eq!(looks(&mut watch, &pulse, 23), [Verdict::Fine; 23]);
        assert_eq!(watch.look(&pulse), Verdict::Idle);
    }
}
