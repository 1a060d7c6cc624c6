//! 3,000 requests wait for a verifier that never acknowledges, while others refresh.

use std::{net::SocketAddr, thread, time::Duration};

use countermark_proto::auth_v1::{Hello, StalePolicy};
use countermark_service::database::rusqlite::Connection;
use tests::{
    Http,
    grpc::Grpc,
    watcher::{Watcher, hello},
    world::{ADMIN, BILLING},
};
use tokio::task::JoinSet;

use crate::{
    millis, percentile,
    refreshing::{login, refreshes},
    server::Server,
};

const WAITERS: usize = 3_000;

/// Requests of one account: more than may wait.
const OF_ACCOUNT: usize = 10;

const SPAN: Duration = Duration::from_secs(4);

const COPY: &str = "INSERT INTO accounts (id, email, password_hash, roles, created_at)
    SELECT randomblob(16), ?1, password_hash, roles, created_at FROM accounts WHERE email = ?2";

pub(crate) fn run() {
    let server = Server::start(&[("AUTH_TOKEN_LIMITS", "off")]);
    let address = server.http();
    let accounts = WAITERS / OF_ACCOUNT;
    let database = Connection::open(server.database()).unwrap();
    database.busy_timeout(Duration::from_mins(1)).unwrap();
    let email = |number: usize| format!("waiter{number}@example.com");
    for number in 0..accounts {
        database.execute(COPY, (email(number), ADMIN.0)).unwrap();
    }
    let tokens: Vec<_> =
        (0..accounts).map(|number| login(address, (&email(number), ADMIN.1)).access).collect();

    let mut idle = refreshes(address, SPAN);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let grpc = server.process().address("grpc");
    let waiting = thread::spawn(move || runtime.block_on(wait(address, grpc, tokens)));
    thread::sleep(Duration::from_millis(500));
    let mut busy = refreshes(address, SPAN);
    let Waited { busy: refused, named } = waiting.join().unwrap();
    println!(
        "{WAITERS} requests with ?wait=true: {named} named the verifier after 5 s, {refused} were answered busy at once"
    );
    let (p50, p99) = (millis(percentile(&mut idle, 50)), millis(percentile(&mut idle, 99)));
    println!("others' refreshes, idle: p50 {p50:.2} ms, p99 {p99:.2} ms");
    let target = (2.0 * p99).max(10.0);
    let (p50, p99) = (millis(percentile(&mut busy, 50)), millis(percentile(&mut busy, 99)));
    println!("others' refreshes, beside them: p50 {p50:.2} ms, p99 {p99:.2} ms (target {target:.1})\n");
}

struct Waited {
    busy: usize,
    named: usize,
}

/// All requests at once, and a verifier that reads and never acknowledges.
async fn wait(address: SocketAddr, grpc: SocketAddr, tokens: Vec<String>) -> Waited {
    let silent = Hello { policy: StalePolicy::Allow.into(), ..hello("silent") };
    let watcher = Watcher::current(&Grpc::at(grpc).basic(BILLING.0, BILLING.1), silent).await;
    let http = Http::at(address);
    let mut answers = JoinSet::new();
    for token in tokens.iter().flat_map(|token| [token; OF_ACCOUNT]) {
        let request = http.post("/logout?wait=true").bearer(token);
        answers.spawn(async move { request.await.is(200) });
    }
    let answers = answers.join_all().await;
    drop(watcher);
    Waited {
        busy: answers.iter().filter(|answer| answer["reason"] == "busy").count(),
        named: answers.iter().filter(|answer| answer["unconfirmed"][0]["name"] == "silent").count(),
    }
}
