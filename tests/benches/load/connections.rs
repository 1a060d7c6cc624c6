//! 4,300 connections of one address at a port that may have 4,096, and everybody else's requests.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use tests::{
    Http,
    grpc::Grpc,
    process::Process,
    wire::{Request, Wire},
    world::BILLING,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
};

use crate::{
    millis,
    overload::every,
    percentile,
    server::{CLIENT, Server, pin, resource},
};

/// Connections that the crowd holds. It opens those again that the service has closed.
const CROWD: usize = 4_300;

/// How long the others ask while there is no crowd, and while there is one.
const IDLE: Duration = Duration::from_secs(10);
const CROWDED: Duration = Duration::from_mins(1);

/// Time between two requests of the others. Every second one has a connection of its own.
const PACE: Duration = Duration::from_millis(10);

pub(crate) fn run() {
    pin(CLIENT);
    let auth = Server::start(&[]);
    let (verifier, _folder) = resource(&[("RESOURCE_AUTH_URL", format!("http://{}", auth.http()))]);
    let token = auth.login()["access_token"].as_str().unwrap().to_owned();
    let get = |path: &str| Request::new("GET", path).bearer(&token);
    let asked = get("/.well-known/jwks.json");
    port("auth-service, HTTP", auth.process(), "http", || Plain::to(auth.http(), asked.clone()));
    let grpc = auth.process().address("grpc");
    port("auth-service, gRPC", auth.process(), "grpc", || Calls::to(grpc, &token));
    let ops = auth.process().address("ops");
    port("auth-service, operations", auth.process(), "ops", || Plain::to(ops, get("/health/ready")));
    let http = verifier.address("http");
    port("resource-service, HTTP", &verifier, "http", || Plain::to(http, get("/protected-route")));
    println!();
}

/// Measures one port of `process`.
fn port<H: Honest>(name: &str, process: &Process, listener: &str, honest: impl Fn() -> H) {
    let address = process.address(listener);
    let (mut idle, failed_idle) = ask(honest(), IDLE);
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut crowded, failed) = thread::scope(|scope| {
        scope.spawn(|| runtime().block_on(crowd(address, &stop, &opened)));
        while opened.load(Ordering::Relaxed) < CROWD {
            thread::sleep(Duration::from_millis(10));
        }
        let measured = ask(honest(), CROWDED);
        stop.store(true, Ordering::Relaxed);
        measured
    });
    let (before, after) = (millis(percentile(&mut idle, 99)), millis(percentile(&mut crowded, 99)));
    println!(
        "{name:<26}p99 idle {before:>6.2} ms, beside {CROWD} connections {after:>6.2} ms (target {:.1}); failed {failed_idle} of {}, {failed} of {} (target 0); the crowd connected {} times, {} were closed for others",
        (2.0 * before).max(10.0),
        idle.len(),
        crowded.len(),
        opened.into_inner(),
        closed(&process.ops(), listener),
    );
}

/// Opens connections that never ask, and opens them again when they are closed. A twentieth is looked after at a time.
async fn crowd(to: SocketAddr, stop: &AtomicBool, opened: &AtomicUsize) {
    const PARTS: usize = 20;
    let mut held = Vec::new();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if held.len() < CROWD {
            held.push(connect(to, opened).await);
            continue;
        }
        for connection in held.iter_mut().skip(turn % PARTS).step_by(PARTS) {
            if is_closed(connection.as_ref()) {
                *connection = connect(to, opened).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A connection from another address than the others'. `None` when it is refused at once.
async fn connect(to: SocketAddr, opened: &AtomicUsize) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    opened.fetch_add(1, Ordering::Relaxed);
    socket.connect(to).await.ok()
}

fn is_closed(connection: Option<&TcpStream>) -> bool {
    let Some(stream) = connection else { return true };
    match stream.try_read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Asks for `span`. Returns the time of each answer from the moment at which it was due, and how many failed.
fn ask(mut honest: impl Honest, span: Duration) -> (Vec<Duration>, usize) {
    let (mut times, mut failed, started) = (Vec::new(), 0, Instant::now());
    every(PACE, Duration::ZERO, |due| {
        if !honest.ask(times.len().is_multiple_of(2)) {
            failed += 1;
        }
        times.push(due.elapsed());
        started.elapsed() < span
    });
    (times, failed)
}

/// A client that asks good requests.
trait Honest {
    /// Asks on a new connection, or on the one that is kept. `false` when there is no good answer.
    fn ask(&mut self, is_new: bool) -> bool;
}

struct Plain {
    kept: Wire,
    address: SocketAddr,
    request: Request,
}

impl Plain {
    fn to(address: SocketAddr, request: Request) -> Self {
        Self { kept: Wire::to(address), address, request }
    }
}

impl Honest for Plain {
    fn ask(&mut self, is_new: bool) -> bool {
        let answer = if is_new {
            Wire::to(self.address).try_ask(&self.request)
        } else {
            self.kept.try_ask(&self.request)
        };
        answer.is_ok_and(|answer| answer.status == 200)
    }
}

struct Calls {
    runtime: Runtime,
    kept: Grpc,
    address: SocketAddr,
    token: String,
}

impl Calls {
    fn to(address: SocketAddr, token: &str) -> Self {
        let runtime = runtime();
        let kept = runtime.block_on(async { Grpc::at(address).basic(BILLING.0, BILLING.1) });
        Self { runtime, kept, address, token: token.to_owned() }
    }
}

impl Honest for Calls {
    fn ask(&mut self, is_new: bool) -> bool {
        self.runtime.block_on(async {
            let new = is_new.then(|| Grpc::at(self.address).basic(BILLING.0, BILLING.1));
            new.as_ref().unwrap_or(&self.kept).introspect(self.token.as_str()).await.is_ok()
        })
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Connections that the listener closed for others so far.
fn closed(ops: &Http, listener: &str) -> u64 {
    let metrics = runtime().block_on(async { ops.get("/metrics").await });
    let start = format!(r#"countermark_connections_closed_total{{listener="{listener}",reason="full_"#);
    let lines = metrics.text().lines().filter(|line| line.starts_with(&start));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}
