//! Ten times as many logins as can be hashed, and their effect on all other requests.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    grpc::Grpc,
    wire::{Request, Wire},
    world::{ADMIN, BILLING},
};

use crate::{millis, percentile, server::Server};

const SPAN: Duration = Duration::from_secs(10);

/// Time between two requests of one kind.
const PACE: Duration = Duration::from_millis(10);

/// Number of connections for logins.
const CONNECTIONS: u32 = 96;

/// Time of each request from the moment at which it was due. Time spent waiting for an earlier answer is therefore
/// included.
struct Times {
    refresh: Vec<Duration>,
    introspection: Vec<Duration>,
    jwks: Vec<Duration>,
}

pub(crate) fn run() {
    let server = Server::start(&[]);
    let slots = 1.0;
    server.login();
    let idle = others(&server);
    let (resident, _) = server.memory();

    let capacity = capacity(server.http());
    let (stop, refused) = (AtomicBool::new(false), std::sync::Mutex::new(Vec::new()));
    let (hashed, tried) = (AtomicU64::new(0), AtomicU64::new(0));
    let pace = Duration::from_secs_f64(f64::from(CONNECTIONS) / (10.0 * capacity));
    let mut busy = thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (stop, refused, hashed, tried) = (&stop, &refused, &hashed, &tried);
            let address = server.http();
            scope.spawn(move || {
                let mut own = Vec::new();
                let mut wire = Wire::to(address);
                every(pace, pace * number / CONNECTIONS, |_| {
                    tried.fetch_add(1, Ordering::Relaxed);
                    // Each login is another client's, so its time starts when it is sent.
                    let sent = Instant::now();
                    match wire.ask(&wrong_login()).status {
                        503 => own.push(sent.elapsed()),
                        _ => drop(hashed.fetch_add(1, Ordering::Relaxed)),
                    }
                    !stop.load(Ordering::Relaxed)
                });
                refused.lock().unwrap().extend(own);
            });
        }
        let busy = others(&server);
        stop.store(true, Ordering::Relaxed);
        busy
    });
    let (_, most) = server.memory();
    thread::sleep(Duration::from_secs(3));
    let (after, _) = server.memory();

    let mut idle = idle;
    println!(
        "logins per second: {capacity:.0} can be hashed; {} of {} tried were",
        hashed.into_inner(),
        tried.into_inner()
    );
    for (name, idle, busy) in [
        ("refresh", &mut idle.refresh, &mut busy.refresh),
        ("gRPC introspection", &mut idle.introspection, &mut busy.introspection),
        ("JWKS", &mut idle.jwks, &mut busy.jwks),
    ] {
        let (idle, busy) = (millis(percentile(idle, 99)), millis(percentile(busy, 99)));
        let target = (2.0 * idle).max(10.0);
        println!(
            "{name:<20} p99 idle {idle:>7.2} ms, at ten times too many logins {busy:>7.2} ms (target {target:.1})"
        );
    }
    let mut refused = refused.into_inner().unwrap();
    let (p99, worst) = (percentile(&mut refused, 99), percentile(&mut refused, 100));
    println!(
        "refused logins: {}, p99 {:.2} ms, worst {:.2} ms (target 50)",
        refused.len(),
        millis(p99),
        millis(worst)
    );
    println!(
        "resident memory: idle {resident:.1}, most {most:.1} (target {:.0}), afterwards {after:.1} MiB\n",
        slots * 19.0 + 64.0
    );
}

fn wrong_login() -> Request {
    Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": "a wrong pass phrase"}))
}

/// Logins per second of clients that never pause.
fn capacity(address: SocketAddr) -> f64 {
    let done = AtomicU64::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut wire = Wire::to(address);
                while started.elapsed() < SPAN / 3 {
                    assert_eq!(wire.ask(&wrong_login()).status, 401);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let done = u32::try_from(done.into_inner()).unwrap();
    f64::from(done) / started.elapsed().as_secs_f64()
}

/// All other requests during the logins.
fn others(server: &Server) -> Times {
    let address = server.http();
    let tokens = server.login();
    let access = tokens["access_token"].as_str().unwrap();
    let steady = |ask: &mut dyn FnMut()| {
        let (mut times, started) = (Vec::new(), Instant::now());
        every(PACE, Duration::ZERO, |due| {
            ask();
            times.push(due.elapsed());
            started.elapsed() < SPAN
        });
        times
    };
    thread::scope(|scope| {
        let refresh = scope.spawn(|| {
            let mut wire = Wire::to(address);
            let mut token = tokens["refresh_token"].as_str().unwrap().to_owned();
            steady(&mut || {
                let answer = wire.ask(&Request::new("POST", "/refresh").bearer(&token)).is(200);
                answer["refresh_token"].as_str().unwrap().clone_into(&mut token);
            })
        });
        let jwks = scope.spawn(|| {
            let mut wire = Wire::to(address);
            let request = Request::new("GET", "/.well-known/jwks.json");
            steady(&mut || assert_eq!(wire.ask(&request).status, 200))
        });
        let introspection = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _guard = runtime.enter();
            let grpc = Grpc::at(server.process().address("grpc")).basic(BILLING.0, BILLING.1);
            steady(&mut || drop(runtime.block_on(grpc.introspect(access)).unwrap()))
        });
        Times {
            refresh: refresh.join().unwrap(),
            introspection: introspection.join().unwrap(),
            jwks: jwks.join().unwrap(),
        }
    })
}

/// Calls `act` at each due moment until it returns false. A late call does not delay the next one.
pub(crate) fn every(pace: Duration, first: Duration, mut act: impl FnMut(Instant) -> bool) {
    let mut due = Instant::now() + first;
    loop {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if !act(due) {
            return;
        }
        due += pace;
    }
}
