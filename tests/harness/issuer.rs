//! A fake issuer. It sends the answer that the test sets, and counts its requests. It implements just enough HTTP/1.1
//! to send wrong answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The answer to every request.
#[derive(Clone, Debug)]
pub enum Mode {
    /// A key set with these entries.
    Keys(Vec<Value>),
    /// A key set with these entries and this `Cache-Control` header.
    KeysFor(Vec<Value>, &'static str),
    /// A body with status 200.
    Text(String),
    /// A status without a body.
    Status(u16),
    /// A key set that never ends.
    Huge,
    /// Half of the announced body.
    Half(Vec<Value>),
    /// No answer; the connection stays open.
    Hang,
    /// A redirect: status 302 with `Location`.
    Redirect(String),
}

#[derive(Debug)]
struct State {
    mode: Mutex<Mode>,
    hits: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// The fake issuer. Dropping it stops the server.
#[derive(Debug)]
pub struct FakeIssuer {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl FakeIssuer {
    pub async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(State { mode: Mutex::new(mode), hits: AtomicUsize::new(0), heads: Mutex::default() });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the answer from now on.
    pub fn turn(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
    }

    /// Number of requests.
    pub fn hits(&self) -> usize {
        self.state.hits.load(SeqCst)
    }

    /// The heads of all requests.
    pub fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }

    /// Stops the server, so that its address refuses connections.
    pub async fn go_away(&mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
    }
    state.heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
    // The mode is read before the request is counted. A test that sees the count may change the mode.
    let mode = state.mode.lock().unwrap().clone();
    state.hits.fetch_add(1, SeqCst);
    // The client may have disconnected.
    let _ = speak(&mut stream, mode).await;
}

async fn speak(stream: &mut TcpStream, mode: Mode) -> std::io::Result<()> {
    let whole = |status: u16, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} Whatever\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    };
    let text = match mode {
        Mode::Keys(keys) => whole(200, "etag: \"1\"\r\n", &json!({"keys": keys}).to_string()),
        Mode::KeysFor(keys, cache_control) => {
            whole(200, &format!("cache-control: {cache_control}\r\n"), &json!({"keys": keys}).to_string())
        }
        Mode::Text(body) => whole(200, "", &body),
        Mode::Status(status) => whole(status, "", ""),
        Mode::Redirect(location) => whole(302, &format!("location: {location}\r\n"), ""),
        Mode::Half(keys) => {
            let body = json!({"keys": keys}).to_string();
            let (half, _) = body.split_at(body.len() / 2);
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{half}", body.len())
        }
        Mode::Hang => return std::future::pending().await,
        Mode::Huge => return endless(stream).await,
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Sends a key set without an end, until the client disconnects.
async fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"keys\":[").await?;
    loop {
        stream.write_all([b' '; 4096].as_slice()).await?;
    }
}
