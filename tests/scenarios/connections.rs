//! Ports with more connections than they may have. The crowd is at 127.0.0.2, everybody else at 127.0.0.1.

use std::{fs, net::SocketAddr};

use serde_json::json;
use tests::{
    Http, PATIENCE, World,
    process::{AUTH, Process, Start, binary},
    tls::{Authority, client},
    until,
    watcher::{Watcher, hello},
    world::{ADMIN, BILLING},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const CROWD: u8 = 2;
const OTHER: u8 = 3;

const GET: &str = "GET / HTTP/1.1\r\nhost: auth.test\r\n\r\n";
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A connection from 127.0.0.`from`.
async fn connect(from: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, from], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Connections from 127.0.0.`from` that send `bytes` and no more. The service may have closed some already.
async fn hold(from: u8, to: SocketAddr, count: usize, bytes: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = connect(from, to).await;
        let _ = stream.write_all(bytes.as_bytes()).await;
        held.push(stream);
    }
    held
}

/// Whether the service answers `GET` on this connection.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let mut first = [0; 8];
    let _ = stream.write_all(GET.as_bytes()).await;
    let read = timeout(PATIENCE, stream.read_exact(&mut first)).await.expect("an answer or an end");
    read.is_ok() && first == *b"HTTP/1.1"
}

/// Waits until the service has closed the connection.
async fn is_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end");
}

/// A request whose body is awaited. It is in flight.
async fn begin_login(from: u8, to: SocketAddr) -> (TcpStream, String) {
    let body = json!({"email": ADMIN.0, "password": ADMIN.1}).to_string();
    let head = format!(
        "POST /login HTTP/1.1\r\nhost: auth.test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = connect(from, to).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut interim)).await.expect("an interim answer").unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, body)
}

async fn end_login((mut stream, body): (TcpStream, String)) -> String {
    let mut answer = Vec::new();
    let _ = stream.write_all(body.as_bytes()).await;
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A figure of a listener. `reason` is that of a closed connection.
async fn figure(ops: &Http, name: &str, listener: &str, reason: Option<&str>) -> u64 {
    let reason = reason.map(|reason| format!(r#",reason="{reason}""#)).unwrap_or_default();
    let start = format!(r#"countermark_{name}{{listener="{listener}"{reason}}} "#);
    let answer = ops.get("/metrics").await;
    let line = answer.text().lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned));
    line.unwrap_or_else(|| panic!("{start} in {}", answer.text())).parse().unwrap()
}

async fn closed(ops: &Http, listener: &str, reason: &str) -> u64 {
    figure(ops, "connections_closed_total", listener, Some(reason)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_one_address_stop_nobody_else_at_any_port() {
    let world = World::with(&[("AUTH_MAX_CONNECTIONS", "16"), ("RESOURCE_MAX_CONNECTIONS", "16")]).await;
    let token = world.login().await.access;
    let ports = [
        (world.auth().address, world.auth_ops(), "http"),
        (world.auth_grpc, world.auth_ops(), "grpc"),
        (world.auth_ops().address, world.auth_ops(), "ops"),
        (world.resource().address, world.resource_ops(), "http"),
        (world.resource_ops().address, world.resource_ops(), "ops"),
    ];
    // Nothing at all, a head that does not end, a connection that is kept after its answer, HTTP/2 without a stream.
    for bytes in ["", "GET / HTTP/1.1\r\nhost: auth.test\r\n", GET, PREFACE] {
        for (port, ops, listener) in ports {
            let before = closed(ops, listener, "full_idle").await;
            let mut kept = connect(1, port).await;
            if listener != "grpc" {
                assert!(is_answered(&mut kept).await);
            }
            let _crowd = hold(CROWD, port, 60, bytes).await;
            until("most of the crowd is closed", async || {
                (closed(ops, listener, "full_idle").await >= before + 44).then_some(())
            })
            .await;
            assert_eq!(figure(ops, "connections_limit", listener, None).await, 16);
            assert!(figure(ops, "connections", listener, None).await <= 16);
            for _ in 0..5 {
                if listener == "grpc" {
                    let claims = world.grpc().basic(BILLING.0, BILLING.1).introspect(token.as_str()).await;
                    assert!(claims.expect("an answer").active);
                } else {
                    assert!(is_answered(&mut connect(1, port).await).await, "{listener} {bytes:?}");
                }
            }
            if listener != "grpc" {
                let mut rest = vec![0; 64 * 1024];
                let _ = kept.read(&mut rest).await.expect("the rest of the first answer");
                assert!(is_answered(&mut kept).await, "one that was there before is kept");
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_and_a_watch_outlive_a_crowd_of_their_own_address() {
    let world = World::of_auth_alone(&[("AUTH_MAX_CONNECTIONS", "12")]).await;
    let mut watcher = Watcher::current(&world.grpc().basic(BILLING.0, BILLING.1), hello("kept")).await;
    let login = begin_login(1, world.auth().address).await;
    for port in [world.auth().address, world.auth_grpc] {
        for bytes in ["", GET, PREFACE] {
            let _crowd = hold(1, port, 50, bytes).await;
        }
    }
    until("the port was full", async || {
        (closed(world.auth_ops(), "grpc", "full_idle").await > 50).then_some(())
    })
    .await;
    let answer = end_login(login).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("access_token"), "{answer}");
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    watcher.until(|watcher| watcher.seq == 1).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_connection_is_busy_the_newest_of_the_address_with_most_goes() {
    let world = World::of_auth_alone(&[("AUTH_MAX_CONNECTIONS", "4")]).await;
    let (port, ops) = (world.auth().address, world.auth_ops());
    let mut crowd = Vec::new();
    for _ in 0..4 {
        crowd.push(begin_login(CROWD, port).await);
    }
    // The address with most gets no more.
    let mut refused = connect(CROWD, port).await;
    is_closed(&mut refused).await;
    assert_eq!(closed(ops, "http", "full_refused").await, 1);
    // Another one does.
    let first = begin_login(OTHER, port).await;
    is_closed(&mut crowd.pop().unwrap().0).await;
    let second = begin_login(1, port).await;
    is_closed(&mut crowd.pop().unwrap().0).await;
    assert_eq!(closed(ops, "http", "full_busy").await, 2);
    for login in crowd.into_iter().chain([first, second]) {
        assert!(end_login(login).await.starts_with("HTTP/1.1 200 "));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_tls_handshakes_stop_nobody_else() {
    const CLIENT_HELLO: &str = "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03";
    let authority = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    let files = authority.server("first").write(folder.path());
    let mut settings: Vec<_> = files.iter().map(|(name, path)| (*name, path.as_str())).collect();
    settings.push(("AUTH_MAX_CONNECTIONS", "8"));
    let world = World::of_auth_alone(&settings).await;
    let url = format!("https://{}/.well-known/jwks.json", world.auth().address);
    for bytes in ["", &CLIENT_HELLO[..1], CLIENT_HELLO] {
        let before = closed(world.auth_ops(), "http", "full_idle").await;
        let _crowd = hold(CROWD, world.auth().address, 40, bytes).await;
        until("the port is full", async || {
            (closed(world.auth_ops(), "http", "full_idle").await >= before + 30).then_some(())
        })
        .await;
        for _ in 0..3 {
            assert_eq!(client(&authority, None).get(&url).send().await.expect("an answer").status(), 200);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_holds_many_by_nature_and_only_age_counts_for_it() {
    let settings = [("AUTH_MAX_CONNECTIONS", "8"), ("AUTH_TRUSTED_PROXIES", "127.0.0.2")];
    let world = World::of_auth_alone(&settings).await;
    let port = world.auth().address;
    let mut proxied = hold(2, port, 6, "").await;
    let mut direct = hold(OTHER, port, 2, "").await;
    until("all are taken in", async || {
        (figure(world.auth_ops(), "connections", "http", None).await == 8).then_some(())
    })
    .await;
    // Two connections of one client are most.
    let mut third = connect(1, port).await;
    assert!(is_answered(&mut third).await);
    is_closed(&mut direct[0]).await;
    // Then everybody has one, and the oldest goes: the proxy's first.
    let mut fourth = connect(4, port).await;
    assert!(is_answered(&mut fourth).await);
    is_closed(&mut proxied[0]).await;
    for kept in proxied[1..].iter_mut().chain(&mut direct[1..]) {
        assert!(is_answered(kept).await);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_is_two_lines_of_the_log_however_many_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(folder.path(), Start::of(AUTH), &[("AUTH_MAX_CONNECTIONS", "8")]).await;
    let crowd = hold(CROWD, process.address("http"), 100, "").await;
    let ops = process.ops();
    until("the port was full", async || (closed(&ops, "http", "full_idle").await >= 92).then_some(())).await;
    assert!(is_answered(&mut connect(1, process.address("http")).await).await);
    drop(crowd);
    until("there is room", async || process.stderr().contains("the port has room again").then_some(())).await;
    let log = process.stop().await.stderr;
    assert_eq!(log.matches("the port is full").count(), 1, "{log}");
    assert_eq!(log.matches("the port has room again").count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains("the port is full")).unwrap();
    assert!(line.contains(r#""listener":"http""#) && line.contains(r#""limit":8"#), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_file_descriptors_mean_fewer_connections_and_shut_no_port() {
    // The second limit is so low that the process runs out of descriptors itself.
    for files in [256, 44] {
        let folder = tempfile::tempdir().unwrap();
        let program = binary(AUTH);
        let shell =
            Start::of("/bin/sh").arg("-c").arg(format!("ulimit -n {files}; exec {}", program.display()));
        let process = start(folder.path(), shell, &[]).await;
        let ports = ["http", "grpc", "ops"];
        let mut crowd = Vec::new();
        for port in ports {
            crowd.extend(hold(CROWD, process.address(port), 200, "").await);
        }
        for _ in 0..20 {
            assert!(is_answered(&mut connect(1, process.address("http")).await).await);
        }
        let ops = process.ops();
        ops.get("/health/ready").await.is(200);
        let limit = figure(&ops, "connections_limit", "http", None).await;
        assert!(limit < files, "{limit}");
        let log = process.stop().await;
        assert_eq!(log.code, Some(0));
        let count = |what: &str| log.stderr.matches(what).count();
        assert_eq!(count("fewer connections than configured"), 1, "{}", log.stderr);
        for line in ["no connection accepted", "the port is full", "the port has room again"] {
            assert!(count(line) <= ports.len(), "{}", log.stderr);
        }
    }
}

async fn start(folder: &std::path::Path, start: Start, settings: &[(&str, &str)]) -> Process {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("bootstrap.toml"), "").unwrap();
    let start = start
        .within(folder)
        .env("AUTH_HTTP_ADDR", "127.0.0.1:0")
        .env("AUTH_GRPC_ADDR", "127.0.0.1:0")
        .env("AUTH_OPS_ADDR", "127.0.0.1:0")
        .env("AUTH_DATABASE_URL", format!("sqlite://{}", path("auth.db")))
        .env("AUTH_MASTER_KEY_FILE", path("master.key"))
        .env("AUTH_BOOTSTRAP_FILE", path("bootstrap.toml"));
    start.envs(settings.iter().copied()).listen().await
}
