//! Ports: bound, served within limits with or without TLS, and drained at the stop. An error names the setting of the
//! port.

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
}

impl Port {
    /// Binds `address`, which the setting `setting` named. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] when the address can't be bound.
    pub fn bind(setting: &'static str, address: SocketAddr) -> Result<Self, BindError> {
        let failed = |source| BindError { setting, address, source };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls: None })
    }

    /// Adds TLS with `files`, if there are any. `clock` decides whether a client certificate has expired.
    ///
    /// # Errors
    /// [`UnusableFiles`] when the crypto library refuses the files. It accepted them when they were read.
    pub fn secured(self, files: Option<TlsFiles>, clock: &Arc<dyn Clock>) -> Result<Self, UnusableFiles> {
        let tls = files.map(|files| Tls::new(files, Arc::clone(clock))).transpose()?;
        Ok(Self { tls, ..self })
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

/// Waits for a free slot, and accepts the next connection. Errors are not returned: a client that has gone is
/// skipped, and a lack of file descriptors is waited out.
async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        let Ok(permit) = Arc::clone(free).acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, peer)) => {
                // If this fails, answers are slower, but still correct.
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
