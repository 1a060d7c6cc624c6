//! A network between two services. It forwards bytes until a test cuts or freezes it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::JoinHandle,
};

/// Listens at its own address and forwards to another. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    /// Address of the target. `None`: connections are closed.
    target: Mutex<Option<SocketAddr>>,
    /// Each cut starts a new era and closes the connections of earlier ones.
    era: watch::Sender<u64>,
    /// Connections with a number up to this one are frozen.
    frozen: watch::Sender<u64>,
    connections: Mutex<u64>,
}

impl Relay {
    /// Starts without a target.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            target: Mutex::default(),
            era: watch::Sender::new(0),
            frozen: watch::Sender::new(0),
            connections: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (inside, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(inside, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// Starts with the target `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let relay = Self::start().await;
        relay.mend(target);
        relay
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forwards new connections to `target`.
    pub fn mend(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap() = Some(target);
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        *self.state.target.lock().unwrap() = None;
        self.state.era.send_modify(|era| *era += 1);
    }

    /// Freezes all present connections without breaking them. New connections work.
    pub fn freeze(&self) {
        let connections = *self.state.connections.lock().unwrap();
        self.state.frozen.send_replace(connections);
    }

    /// Unfreezes all connections. Bytes that waited are forwarded first.
    pub fn thaw(&self) {
        self.state.frozen.send_replace(0);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn pass(inside: TcpStream, state: Arc<State>) {
    let number = {
        let mut connections = state.connections.lock().unwrap();
        *connections += 1;
        *connections
    };
    let mut era = state.era.subscribe();
    let Some(target) = *state.target.lock().unwrap() else { return };
    let Ok(outside) = TcpStream::connect(target).await else { return };
    let ((from_inside, to_inside), (from_outside, to_outside)) = (inside.into_split(), outside.into_split());
    tokio::select! {
        () = copy(from_inside, to_outside, state.frozen.subscribe(), number) => {}
        () = copy(from_outside, to_inside, state.frozen.subscribe(), number) => {}
        // Returning closes both ends.
        _ = era.changed() => {}
    }
}

async fn copy(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<u64>,
    number: u64,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if frozen.wait_for(|&frozen| frozen < number).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
