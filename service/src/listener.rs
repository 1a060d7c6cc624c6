//! Ports: bound, served within limits with or without TLS, and drained at the stop. An error names the setting of the
//! port.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use rustix::io::Errno;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Protocol,
    connections::{ConnectionMetrics, Connections, ListenerMetrics},
    exit::Failure,
    limits::Limits,
    tls::{Tls, TlsFiles, UnusableFiles},
};
use countermark::clock::Clock;

/// A bound port, and its address. With port 0 the system chose the number.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    /// The address that the port is bound to.
    pub address: SocketAddr,
    tls: Option<Tls>,
    metrics: ListenerMetrics,
}

impl Port {
    /// Binds `address`, which the setting `setting` named. Must be called inside a tokio runtime.
    pub fn bind(setting: &'static str, address: SocketAddr) -> Result<Self, BindError> {
        let failed = |source| BindError { setting, address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls: None, metrics: ConnectionMetrics::default().of(setting) })
    }

    /// Adds TLS with `files`, if there are any. `clock` decides whether a client certificate has expired.
    ///
    /// # Errors
    /// [`UnusableFiles`] when the crypto library refuses the files. It accepted them when they were read.
    pub fn secured(self, files: Option<TlsFiles>, clock: &Arc<dyn Clock>) -> Result<Self, UnusableFiles> {
        let tls = files.map(|files| Tls::new(files, Arc::clone(clock))).transpose()?;
        Ok(Self { tls, ..self })
    }

    /// The TLS state. `None` when the port uses no TLS.
    #[must_use]
    pub fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// Counts the connections of this port in `metrics`.
    #[must_use]
    pub fn measured(self, metrics: ListenerMetrics) -> Self {
        Self { metrics, ..self }
    }
}

/// A port can't be bound.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: can't listen on {address}: {}", reason(source))]
pub struct BindError {
    /// The setting that names the port.
    pub setting: &'static str,
    /// The address of the port.
    pub address: SocketAddr,
    /// The system's error.
    pub source: io::Error,
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::start(error)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 1024;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` on `port` over HTTP/1 and HTTP/2 until `stop`. Then it accepts no more connections, waits for the
/// requests in flight at most [`Limits::drain`], and returns. Each request has its peer as axum's
/// `ConnectInfo<SocketAddr>`.
pub async fn serve(port: Port, router: Router, limits: Limits, stop: CancellationToken) {
    let Port { listener, tls, metrics, .. } = port;
    let protocol = Arc::new(Protocol::new(router, &limits));
    let drain = limits.drain;
    let connections = Connections::new(limits, metrics);
    let serving = async {
        let open = accept_all(listener, tls.as_ref(), protocol, &connections, stop).await;
        self::drain(open, drain).await;
    };
    match &tls {
        None => serving.await,
        Some(tls) => tokio::select! {
            () = serving => {}
            () = tls.keep_current() => {}
        },
    }
}

/// Accepts until `stop`. Returns the connections that are open then.
async fn accept_all(
    listener: TcpListener,
    tls: Option<&Tls>,
    protocol: Arc<Protocol>,
    connections: &Arc<Connections>,
    stop: CancellationToken,
) -> JoinSet<()> {
    /// How many connections may be on their way out. Their places are taken already.
    const ENDING: usize = 256;
    /// How long it has to be quiet before a shortage counts as over.
    const QUIET: Duration = Duration::from_secs(5);
    let most = connections.limit().saturating_add(ENDING);
    let mut open = JoinSet::new();
    let mut shortage = Shortage::default();
    let mut looks = tokio::time::interval(QUIET);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = looks.tick() => {
                connections.settle();
                shortage.settle();
                continue;
            }
            Some(_) = open.join_next() => continue,
            accepted = accept(&listener, connections, &mut shortage), if open.len() < most => accepted,
        };
        let Some(place) = connections.admit(peer.ip()) else { continue };
        let (protocol, stop) = (Arc::clone(&protocol), stop.child_token());
        let acceptor = tls.map(Tls::acceptor);
        open.spawn(async move { protocol.serve(stream, acceptor, peer, place, stop).await });
    }
    open
}

async fn drain(mut connections: JoinSet<()>, time: Duration) {
    let done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(time, done).await.is_err() {
        tracing::warn!(connections = connections.len(), "dropped: they were not done in time");
        connections.shutdown().await;
    }
}

/// Accepts the next connection. Errors are not returned: a client that has gone is skipped. Without a file descriptor an
/// idle connection is closed, so that the next try has one; without an idle one it waits a moment.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
    shortage: &mut Shortage,
) -> (TcpStream, SocketAddr) {
    const PAUSE: Duration = Duration::from_millis(100);
    /// The time in which a connection that was closed gives its descriptor back.
    const MOMENT: Duration = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // If this fails, answers are slower, but still correct.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_the_clients_own(&error) => {}
            Err(error) => {
                shortage.log(&error);
                let is_short = matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE));
                let pause = if is_short && connections.close_one_idle() { MOMENT } else { PAUSE };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// A time in which connections can't be accepted. It is logged once.
#[derive(Debug, Default)]
struct Shortage {
    is_logged: bool,
    errors: u64,
    errors_before: u64,
}

impl Shortage {
    fn log(&mut self, error: &io::Error) {
        if !self.is_logged {
            tracing::warn!(%error, "no connection accepted; trying again");
        }
        self.is_logged = true;
        self.errors = self.errors.wrapping_add(1);
    }

    /// Ends the shortage when there was no error since the last call.
    fn settle(&mut self) {
        self.is_logged &= self.errors != self.errors_before;
        self.errors_before = self.errors;
    }
}

fn is_the_clients_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "it is already in use by another process".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "the system reserves it; take a port from 1024 up".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
