//! Serves one connection: HTTP/1 or HTTP/2, with or without TLS.
//!
//! A supervisor closes the connection when the client is too slow with a TLS handshake or a request head, or when it
//! is idle for too long. A full port closes it for another one.
//!
//! The supervisor replaces hyper's `header_read_timeout`. That one sets a timer for each request, starts only when
//! the protocol is known, and can't tell a slow head from an idle connection. The supervisor checks the connection
//! four times per header time-out, and costs a request only a few counter increments.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{
    connections::{Chosen, Place, Reason},
    limits::Limits,
    stream::Stream,
    supervisor::{Activity, InFlight, Supervisor, Verdict},
};

/// The configuration of all connections of one listener.
pub(super) struct Protocol {
    builder: Builder<TokioExecutor>,
    router: Router,
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
        Self { builder, router }
    }

    /// Serves the connection until the client closes it, the supervisor does, or its place is given to another one. After
    /// `stop`, serves only the requests in flight.
    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        peer: SocketAddr,
        place: Place,
        stop: CancellationToken,
    ) {
        let Place { handle, mut closed } = place;
        let mut supervisor = Supervisor::new(handle.connections().patience().period);
        let activity = Activity::new(handle);
        let stream = match tls {
            None => Stream::Plain(stream),
            // Boxed, so that connections without TLS need no space for the handshake.
            Some(tls) => tokio::select! {
                stream = Box::pin(handshake(tls, stream, peer)) => match stream {
                    Some(stream) => stream,
                    None => return,
                },
                () = stop.cancelled() => return,
                _ = &mut closed => return,
                () = late(&mut supervisor, &activity) => return activity.count_closed(Reason::HandshakeTimeout),
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
        let (mut is_closing, mut has_place) = (false, true);
        loop {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                () = stop.cancelled(), if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                why = &mut closed, if has_place => match why {
                    // It was idle, and a request has just come. That one is still answered.
                    Ok(Chosen::Idle) if activity.is_busy() => {
                        (is_closing, has_place) = (true, false);
                        connection.as_mut().graceful_shutdown();
                    }
                    Ok(Chosen::Idle | Chosen::Newest | Chosen::Newcomer) | Err(_) => return,
                },
                verdict = supervisor.next_check(&activity) => match verdict {
                    Verdict::Fine => {}
                    Verdict::Idle if !is_closing => {
                        activity.count_closed(Reason::IdleTimeout);
                        is_closing = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Idle => return,
                    Verdict::Late => return activity.count_closed(Reason::HeadTimeout),
                },
            }
        }
    }
}

/// Returns when the client has sent no request within its time.
async fn late(supervisor: &mut Supervisor, activity: &Activity) {
    while supervisor.next_check(activity).await == Verdict::Fine {}
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
            self.activity.count_read();
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
