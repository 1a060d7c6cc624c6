//! Ports: bound under the name of their setting, served within limits, in the clear or under TLS, and drained at the stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Protocol,
    exit::Failure,
    tls::{Tls, TlsFiles, UnusableFiles},
};
use countermark::clock::Clock;

/// What one listener grants its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue. 4096 by default.
    pub connections: usize,
    /// Time for a request's head, from the connection (a TLS handshake included) or from the head's first byte. 10 s by
    /// default.
    pub header_timeout: Duration,
    /// Time between requests, and for taking an answer. 60 s by default.
    pub idle_timeout: Duration,
    /// The largest head, in bytes; a larger one is 431. 32 KiB by default, at least 8 KiB.
    pub header_bytes: usize,
    /// HTTP/2 streams at once on one connection. 256 by default.
    pub streams: u32,
    /// Time for the requests in flight when the stop comes; what is left then is dropped. 8 s by default.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            header_bytes: 32 * 1024,
            streams: 256,
            drain: Duration::from_secs(8),
        }
    }
}

/// An extension of an answer whose body goes on for as long as its client wants: the connection is not idle meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct LongAnswer;

/// A bound port, and where it is: with port 0 the system chose.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    /// Where it is.
    pub address: SocketAddr,
    tls: Option<Tls>,
}

impl Port {
    /// Listens on `address`, which the setting `setting` named. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the address can't be had.
    pub fn bind(setting: &'static str, address: SocketAddr) -> Result<Self, BindError> {
        let failed = |source| BindError { setting, address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls: None })
    }

    /// The same under TLS with those files, when there are any; `clock` says whether a client's certificate has expired.
    ///
    /// # Errors
    /// When the crypto library takes the files no more, which it took when they were read.
    pub fn secured(self, files: Option<TlsFiles>, clock: &Arc<dyn Clock>) -> Result<Self, UnusableFiles> {
        let tls = files.map(|files| Tls::new(files, Arc::clone(clock))).transpose()?;
        Ok(Self { tls, ..self })
    }
}

/// A port that can't be had.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: can't listen on {address}: {}", reason(source))]
pub struct BindError {
    /// The setting that asked for it.
    pub setting: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
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

/// Serves `router` on `port`, HTTP/1 and HTTP/2, until `stop`: then it accepts nothing more, lets the requests in flight
/// finish, and returns when they have or [`Limits::drain`] is over. Each request knows its peer as axum's
/// `ConnectInfo<SocketAddr>`.
pub async fn serve(port: Port, router: Router, limits: Limits, stop: CancellationToken) {
    let Port { listener, tls, .. } = port;
    let serving = serve_connections(listener, tls.as_ref(), router, limits, stop);
    match &tls {
        None => serving.await,
        Some(tls) => tokio::select! {
            () = serving => {}
            () = tls.keep_current() => {}
        },
    }
}

async fn serve_connections(
    listener: TcpListener,
    tls: Option<&Tls>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let free = Arc::new(Semaphore::new(limits.connections));
    let protocol = Arc::new(Protocol::new(router, &limits));
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &free) => accepted,
        };
        let (protocol, stop) = (Arc::clone(&protocol), stop.child_token());
        let acceptor = tls.map(Tls::acceptor);
        connections.spawn(async move {
            protocol.serve(stream, acceptor, peer, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    drain(connections, limits.drain).await;
}

async fn drain(mut connections: JoinSet<()>, time: Duration) {
    let done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(time, done).await.is_err() {
        tracing::warn!(connections = connections.len(), "dropped: they were not done in time");
        connections.shutdown().await;
    }
}

/// The next connection, once there is room for it. What goes wrong with accepting passes: a client that is gone, or a
/// lack of descriptors, which it waits out.
async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        let Ok(permit) = Arc::clone(free).acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it answers wait for acknowledgements: slow, but not wrong.
                let _ = stream.set_nodelay(true);
                return (stream, peer, permit);
            }
            Err(error) if is_the_clients_own(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection accepted; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
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
