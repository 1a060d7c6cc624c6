use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, sync::Arc};

use axum::{extract::ConnectInfo, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    super::{
        settings::{Setting, Settings},
        tls::Names,
    },
    *,
};
use countermark::clock::SystemClock;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    gate: Arc<Notify>,
    reached: Arc<Notify>,
    task: JoinHandle<()>,
}

fn start(limits: Limits) -> Server {
    start_with(limits, None)
}

fn start_with(limits: Limits, tls: Option<TlsFiles>) -> Server {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let port = Port::bind("AUTH_HTTP_ADDR", ([127, 0, 0, 1], 0).into()).unwrap();
    let port = port.secured(tls, &clock).unwrap();
    let (address, stop) = (port.address, CancellationToken::new());
    let (gate, reached) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let waits = (Arc::clone(&gate), Arc::clone(&reached));
    let router = Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route(
            "/waits",
            get(async move || {
                waits.1.notify_one();
                waits.0.notified().await;
                "done"
            }),
        );
    let task = tokio::spawn(serve(port, router, limits, stop.clone()));
    Server { address, stop, gate, reached, task }
}

impl Server {
    async fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream
    }
}

async fn all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset counts as an end, too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

fn quick() -> Limits {
    let (header_timeout, idle_timeout) = (Duration::from_millis(40), Duration::from_millis(80));
    Limits { header_timeout, idle_timeout, drain: Duration::from_millis(50), ..Limits::default() }
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting() {
    let taken = Port::bind("AUTH_HTTP_ADDR", ([127, 0, 0, 1], 0).into()).unwrap();
    let address = taken.address;
    let error = Port::bind("AUTH_OPS_ADDR", address).unwrap_err();
    let expected =
        format!("AUTH_OPS_ADDR: can't listen on {address}: it is already in use by another process");
    assert_eq!(error.to_string(), expected);
    assert_eq!(Failure::from(error).code(), 1);
}

#[tokio::test]
async fn a_request_knows_its_peer() {
    let server = start(Limits::default());
    let answer = all(server.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn http2_is_spoken_without_tls() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";
    let server = start(Limits::default());
    let mut stream = server.send([PREFACE, SETTINGS, GET].concat()).await;
    let mut head = [0; 9];
    let mut payload = Vec::new();
    while head[3] != 1 {
        stream.read_exact(&mut head).await.unwrap();
        payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
    }
    assert_eq!(payload[0], 0x88, "HEADERS that start with :status 200");
}

#[tokio::test]
async fn a_head_past_32_kib_is_431() {
    let server = start(Limits::default());
    let head = |size: usize| {
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(size))
    };
    assert!(all(server.send(head(31 * 1024)).await).await.starts_with("HTTP/1.1 200 "));
    assert!(all(server.send(head(33 * 1024)).await).await.starts_with("HTTP/1.1 431 "));
}

/// A certificate in a temporary folder. The folder may be deleted after reading.
fn certificate() -> TlsFiles {
    const DECLARED: &[Setting] = &[
        Setting::optional("AUTH_TLS_CERT_FILE", ""),
        Setting::optional("AUTH_TLS_KEY_FILE", ""),
        Setting::optional("AUTH_HTTP_CLIENT_CA_FILE", ""),
    ];
    const NAMES: Names = Names {
        certificate: "AUTH_TLS_CERT_FILE",
        key: "AUTH_TLS_KEY_FILE",
        client_ca: "AUTH_HTTP_CLIENT_CA_FILE",
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.pem");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let both = made.cert.pem() + &made.signing_key.serialize_pem();
    let mode = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    mode.unwrap().write_all(both.as_bytes()).unwrap();
    let named = [NAMES.certificate, NAMES.key].map(|name| (name, path.display().to_string()));
    TlsFiles::read(&Settings::from_pairs(DECLARED, named).unwrap(), NAMES).unwrap().unwrap()
}

#[tokio::test]
async fn a_slow_handshake_is_a_slow_head() {
    const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
    let server = start_with(quick(), Some(certificate()));
    for slow in [&[][..], &CLIENT_HELLO[..1], CLIENT_HELLO] {
        assert_eq!(all(server.send(slow).await).await, "");
    }
    // The stop does not wait for it, either.
    let server = start_with(Limits::default(), Some(certificate()));
    let handshaking = server.send(CLIENT_HELLO).await;
    server.stop.cancel();
    server.task.await.unwrap();
    assert_eq!(all(handshaking).await, "");
}

#[tokio::test]
async fn slow_and_idle_clients_are_let_go() {
    let server = start(quick());
    for slow in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        assert_eq!(all(server.send(slow).await).await, "", "{slow}");
    }
    let idle = all(server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await).await;
    assert!(idle.starts_with("HTTP/1.1 200 "), "{idle}");
    let next_is_slow = all(server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /").await).await;
    assert_eq!(next_is_slow.matches("HTTP/1.1").count(), 1, "{next_is_slow}");
}

#[tokio::test]
async fn a_full_port_closes_the_idle_for_the_next_and_never_a_request_in_flight() {
    const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let server = start(Limits { connections: 2, ..Limits::default() });
    let in_flight = server.send("GET /waits HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    server.reached.notified().await;
    let idle = server.send("").await;
    assert!(all(server.send(GET).await).await.ends_with("127.0.0.1"));
    assert_eq!(all(idle).await, "");
    server.gate.notify_one();
    assert!(all(in_flight).await.ends_with("done"));
}

#[tokio::test]
async fn an_address_whose_connections_are_all_busy_gets_no_further_one() {
    let server = start(Limits { connections: 1, ..Limits::default() });
    let in_flight = server.send("GET /waits HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    server.reached.notified().await;
    for _ in 0..3 {
        let refused = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(all(refused).await, "");
    }
    server.gate.notify_one();
    assert!(all(in_flight).await.ends_with("done"));
}

#[tokio::test]
async fn at_the_stop_requests_in_flight_finish_and_nothing_new_is_taken() {
    let server = start(Limits::default());
    let in_flight = server.send("GET /waits HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.reached.notified().await;
    server.stop.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.gate.notify_one();
    let answer = all(in_flight).await;
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    server.task.await.unwrap();
}

#[tokio::test]
async fn what_is_not_done_in_time_is_dropped() {
    let server = start(quick());
    let in_flight = server.send("GET /waits HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.reached.notified().await;
    server.stop.cancel();
    server.task.await.unwrap();
    assert_eq!(all(in_flight).await, "");
}
