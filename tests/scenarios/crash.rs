//! A process ends at a random moment, by `kill -9` or in good order. Acknowledged writes survive, and spent tokens stay
//! spent.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use countermark::random::{Random, SeededRandom};
use countermark_service::database::rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{
    World,
    effort::{effort, seed},
    operator::json_of,
    process::{AUTH, Process, Start},
    wire::{Request, Wire},
    world::ADMIN,
};

/// Number of clients that write at the same time.
const WRITERS: usize = 8;

/// A client's session.
#[derive(Clone, Debug)]
struct Held {
    /// The last acknowledged refresh token. It must be valid.
    refresh: String,
    access: String,
    /// The refresh token before it. It must be spent.
    spent: Option<String>,
}

impl Held {
    fn of(answer: &Value, spent: Option<String>) -> Self {
        let token = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self { refresh: token("refresh_token"), access: token("access_token"), spent }
    }
}

/// The writes of one client that were acknowledged.
#[derive(Debug, Default)]
struct Ledger {
    held: Option<Held>,
    logged_out: Vec<Held>,
    registered: BTreeSet<String>,
    acknowledged: usize,
}

fn login() -> Request {
    Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}))
}

fn refresh(token: &str) -> Request {
    Request::new("POST", "/refresh").bearer(token)
}

/// One write of a client. The ledger records it when it is acknowledged.
fn write(wire: &mut Wire, ledger: &mut Ledger, dice: u32, name: &str) -> io::Result<()> {
    let Some(held) = ledger.held.clone() else {
        let answer = wire.try_ask(&login())?.is(200);
        ledger.held = Some(Held::of(&answer, None));
        return Ok(());
    };
    match dice % 100 {
        0..2 => {
            // The outcome is unknown if there is no answer. The session is then not used again.
            let outcome = wire.try_ask(&Request::new("POST", "/logout").bearer(&held.access));
            ledger.held = None;
            outcome?.is(200);
            ledger.logged_out.push(held);
        }
        2..4 => {
            let email = format!("{name}-{dice}@example.com");
            let body = json!({"email": email, "password": "correct horse battery"});
            let answer = wire.try_ask(&Request::new("POST", "/register").json(&body))?;
            if answer.status != 409 {
                answer.is(201);
            }
            ledger.registered.insert(email);
        }
        _ => {
            let answer = wire.try_ask(&refresh(&held.refresh))?.is(200);
            ledger.held = Some(Held::of(&answer, Some(held.refresh)));
        }
    }
    Ok(())
}

fn dice(random: &dyn Random) -> u32 {
    u32::from_be_bytes(random.bytes().unwrap())
}

/// Writes until the service stops answering.
fn writer(address: SocketAddr, ledger: &mut Ledger, total: &AtomicUsize, random: &SeededRandom, name: &str) {
    let mut wire = Wire::to(address);
    while write(&mut wire, ledger, dice(random), name).is_ok() {
        ledger.acknowledged += 1;
        total.fetch_add(1, Ordering::Relaxed);
    }
}

/// Checks that the service has kept every acknowledged write.
fn check(address: SocketAddr, ledger: &mut Ledger, gives_up: bool) {
    let mut wire = Wire::to(address);
    for over in ledger.logged_out.drain(..) {
        assert_eq!(wire.ask(&refresh(&over.refresh)).status, 401, "a logout was lost");
        let me = wire.ask(&Request::new("GET", "/me").bearer(&over.access));
        assert_eq!(me.json()["msg"], "The token has been revoked", "a revocation was lost");
    }
    let Some(held) = ledger.held.take() else { return };
    // The token is the live one, or an unanswered request has spent it. In that case this request is its retry.
    let answer = wire.ask(&refresh(&held.refresh));
    assert_eq!(answer.status, 200, "an acknowledged rotation was lost: {answer:?}");
    let next = Held::of(&answer.json(), Some(held.refresh));
    match held.spent {
        // A spent token ends the session, so this session is given up.
        Some(spent) if gives_up => {
            assert_eq!(wire.ask(&refresh(&spent)).status, 401, "a spent token was revived");
            assert_eq!(wire.ask(&refresh(&next.refresh)).status, 401, "theft was not noticed");
        }
        _ => ledger.held = Some(next),
    }
}

async fn start(world: &World) -> Process {
    let start = Start::of(AUTH).envs(world.auth_settings());
    let start = start.env("AUTH_REGISTRATION", "open").env("AUTH_REFRESH_GRACE", "1h");
    start.listen().await
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_kill_9_and_what_was_spent_stays_spent() {
    lives(Signal::KILL, effort(3, 50, 1_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_drops_nothing_that_was_acknowledged() {
    lives(Signal::TERM, effort(2, 10, 100)).await;
}

/// Runs the service `cycles` times under load. The signal ends each run at a random moment.
async fn lives(end: Signal, cycles: usize) {
    let mut world = World::new().await;
    world.halt().await;
    let seed = u64::from_be_bytes(*seed().first_chunk().unwrap());
    let random = SeededRandom::new(seed);
    let ledgers: Vec<_> = (0..WRITERS).map(|_| Mutex::new(Ledger::default())).collect();
    for cycle in 0..cycles {
        let mut process = start(&world).await;
        let address = process.address("http");
        let total = AtomicUsize::new(0);
        // The moment is a random number of writes. The position of each writer is then arbitrary.
        let moment = 20 + dice(&random) as usize % 400;
        thread::scope(|scope| {
            let mut writers = Vec::new();
            for (number, ledger) in ledgers.iter().enumerate() {
                let (total, name) = (&total, format!("{cycle}-{number}"));
                let random = SeededRandom::new(seed.wrapping_add((1 + cycle * WRITERS + number) as u64));
                writers.push(scope.spawn(move || writer(address, &mut lock(ledger), total, &random, &name)));
            }
            // Writers that gave up, or failed an assertion, never reach the moment.
            let is_writing = || writers.iter().any(|writer| !writer.is_finished());
            while total.load(Ordering::Relaxed) < moment && is_writing() {
                thread::yield_now();
            }
            process.signal(end);
        });
        let status = process.exit().await;
        assert_eq!(status.code(), (end == Signal::TERM).then_some(0), "{}", process.stderr());

        let process = start(&world).await;
        let address = process.address("http");
        for (number, ledger) in ledgers.iter().enumerate() {
            check(address, &mut lock(ledger), number == cycle % WRITERS);
        }
        process.signal(Signal::KILL);
        drop(process);
    }
    let connection = Connection::open(world.path("auth.db")).unwrap();
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let accounts = json_of(&world, &["user", "list"]).await;
    let accounts: BTreeSet<_> =
        accounts.as_array().unwrap().iter().map(|account| account["email"].as_str().unwrap()).collect();
    let (mut acknowledged, mut registered) = (0, 0);
    for ledger in &ledgers {
        let ledger = lock(ledger);
        let lost = ledger.registered.iter().find(|email| !accounts.contains(email.as_str()));
        assert_eq!(lost, None, "a registration was lost");
        (acknowledged, registered) =
            (acknowledged + ledger.acknowledged, registered + ledger.registered.len());
    }
    println!("{cycles} cycles, {acknowledged} acknowledged writes, {registered} registrations: nothing lost");
    assert!(acknowledged >= cycles * 20);
    world.stop().await;
}
