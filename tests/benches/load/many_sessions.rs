//! An account with 100,000 sessions logs out everywhere, or is deleted, while others refresh.

use std::{
    thread,
    time::{Duration, Instant},
};

use countermark_service::database::rusqlite::Connection;
use tests::{
    wire::{Request, Wire},
    world::ADMIN,
};

use crate::{
    millis, percentile,
    refreshing::{login, refreshes},
    server::Server,
};

const SESSIONS: u32 = 100_000;
const SPAN: Duration = Duration::from_secs(8);

/// Copies the account's one session.
const COPY: &str = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
    INSERT INTO sessions (id, account_id, client_id, secret, generation, created_at, rotated_at, minted_at, epoch)
    SELECT randomblob(16), account_id, client_id, secret, generation, created_at, rotated_at, minted_at, epoch
    FROM number, (SELECT s.* FROM sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email = ?2 LIMIT 1)";

pub(crate) fn run() {
    let server = Server::start(&[("AUTH_SESSIONS_PER_ACCOUNT", "off"), ("AUTH_TOKEN_LIMITS", "off")]);
    let address = server.http();
    let own = login(address, ADMIN).access;
    let database = Connection::open(server.database()).unwrap();
    database.busy_timeout(Duration::from_mins(1)).unwrap();
    database.execute(COPY, (SESSIONS - 1, ADMIN.0)).unwrap();
    let head =
        || -> i64 { database.query_row("SELECT head FROM revocation_log", [], |row| row.get(0)).unwrap() };

    let mut idle = refreshes(address, SPAN);
    let before = head();
    let ending = thread::spawn(move || {
        thread::sleep(SPAN / 4);
        let started = Instant::now();
        Wire::to(address).ask(&Request::new("POST", "/logout-all").bearer(&own)).is(200);
        started.elapsed()
    });
    let mut busy = refreshes(address, SPAN);
    let took = ending.join().unwrap();
    println!("logout from all of {SESSIONS} sessions: {:.2} ms, {} entries", millis(took), head() - before);
    let (p99, worst) = (millis(percentile(&mut idle, 99)), millis(percentile(&mut idle, 100)));
    println!("others' refreshes, idle: p99 {p99:.2} ms, worst {worst:.2} ms");
    let target = (2.0 * p99).max(10.0);
    let (p99, worst) = (millis(percentile(&mut busy, 99)), millis(percentile(&mut busy, 100)));
    println!("others' refreshes, beside it: p99 {p99:.2} ms (target {target:.1}), worst {worst:.2} ms");
    let started = Instant::now();
    login(address, ADMIN);
    println!("the account's next login: {:.2} ms\n", millis(started.elapsed()));
}
