//! Memory, descriptors and the log of a service do not grow, whatever the requests are and however many come.

use std::{fs, net::SocketAddr};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countermark::random::{Random, SystemRandom};
use serde_json::json;
use tests::{
    World,
    process::{AUTH, Process, Start},
    until,
    wire::{Request, Wire},
    world::{ADMIN, BILLING},
};

/// Rounds in a batch.
const ROUNDS: usize = 120;

/// Number of connections that log in at the same time, with one hash slot.
const LOGINS: usize = 8;

/// Requests of each other kind in a round.
const OF_EACH: usize = 6;

/// Requests in a batch: the logins, eight other kinds, and one refresh in each round.
const REQUESTS: usize = ROUNDS * (LOGINS + OF_EACH * 8 + 1);

/// Largest accepted difference in memory between two batches, in bytes: half of a leak of 200 bytes per request.
const MARGIN: usize = REQUESTS * 100;

/// Memory has settled when it did not fall for this many looks, 5 ms apart.
const LOOKS: usize = 200;

/// Upper bound of settled memory, in bytes: less than hashing one password takes.
const IDLE: usize = 14 * 1024 * 1024;

/// A token that no issuer knows.
fn unknown() -> String {
    let random = || URL_SAFE_NO_PAD.encode((&SystemRandom as &dyn Random).bytes::<64>().unwrap());
    format!("{}.{}.{}", random(), random(), random())
}

/// Requests that change nothing, except the refresh: known and unknown tokens, and requests that are refused for every
/// reason.
struct Batch<'t> {
    address: SocketAddr,
    access: &'t str,
    refresh: String,
}

impl Batch<'_> {
    /// Each other request, and its expected status.
    fn others(&self) -> [(Request, u16); 8] {
        let (id, secret) = BILLING;
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let introspect = |token: &str| {
            let request = Request::new("POST", "/oauth/introspect").header("authorization", &basic);
            request.form(&format!("token={token}"))
        };
        let new = json!({"email": "new@example.com", "password": "a long password"});
        [
            (introspect(self.access), 200),
            (introspect(&unknown()), 200),
            (Request::new("GET", "/me").bearer(self.access), 200),
            (Request::new("GET", "/me").bearer(&unknown()), 401),
            (Request::new("POST", "/refresh").bearer(&format!("rt_{}", unknown())), 401),
            (Request::new("POST", "/register").json(&new), 403),
            (Request::new("POST", "/login").json(&json!({"email": unknown()})), 400),
            (Request::new("GET", "/.well-known/jwks.json"), 200),
        ]
    }

    fn run(&mut self) {
        let mut wire = Wire::to(self.address);
        let mut wires: Vec<_> = (0..LOGINS).map(|_| Wire::to(self.address)).collect();
        let mut refused = 0;
        for _ in 0..ROUNDS {
            let login = json!({"email": "nobody@example.com", "password": unknown()});
            for wire in &mut wires {
                wire.send(&Request::new("POST", "/login").json(&login));
            }
            let others: Vec<_> = (0..OF_EACH).flat_map(|_| self.others()).collect();
            for (request, _) in &others {
                wire.send(request);
            }
            for (_, status) in &others {
                let answer = wire.answer();
                assert_eq!(answer.status, *status, "{answer:?}");
            }
            let answer = wire.ask(&Request::new("POST", "/refresh").bearer(&self.refresh)).is(200);
            answer["refresh_token"].as_str().unwrap().clone_into(&mut self.refresh);
            let statuses = wires.iter_mut().map(|wire| wire.answer().status);
            refused += statuses.filter(|status| *status == 503).count();
        }
        assert!(refused > ROUNDS, "the queue refuses logins: {refused}");
        for wire in wires.into_iter().chain([wire]) {
            wire.hang_up();
        }
    }
}

/// Anonymous memory of the process, in bytes, without the pages of the program and of files.
fn memory(process: &Process) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    1_024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

/// Memory after freed memory has gone back to the system. The hashing lane returns its memory after half a second, the
/// allocator after another second.
async fn settled(process: &Process) -> usize {
    let (mut lowest, mut looks) = (usize::MAX, 0);
    until("memory goes back", async || {
        let now = memory(process);
        looks = if now < lowest { 0 } else { looks + 1 };
        lowest = lowest.min(now);
        (looks > LOOKS && lowest < IDLE).then_some(lowest)
    })
    .await
}

/// Number of open sockets and open files.
fn descriptors(process: &Process) -> (usize, usize) {
    let links = fs::read_dir(format!("/proc/{}/fd", process.pid().as_raw_nonzero())).unwrap();
    // A descriptor may be closed meanwhile.
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    let (sockets, files): (Vec<_>, Vec<_>) =
        targets.partition(|target| target.to_string_lossy().starts_with("socket:"));
    (sockets.len(), files.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_descriptors_and_the_log_stay_flat_whatever_is_asked() {
    let settings = [("AUTH_HASH_SLOTS", "1"), ("AUTH_HASH_QUEUE", "0")];
    let mut world = World::of_auth_alone(&settings).await;
    world.halt().await;
    let auth = Start::of(AUTH).envs(world.auth_settings()).listen().await;
    let login = Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
    let mut wire = Wire::to(auth.address("http"));
    let tokens = wire.ask(&login).is(200);
    wire.hang_up();
    let (sockets, _) = descriptors(&auth);
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let access = token("access_token");
    let mut batch = Batch { address: auth.address("http"), access: &access, refresh: token("refresh_token") };
    let mut seen = Vec::new();
    for _ in 0..3 {
        batch.run();
        let log = fs::metadata(world.path("auth.db-wal")).unwrap().len();
        assert!(log < 8 * 1024 * 1024, "the log has {log} bytes");
        until("every connection is closed", async || (descriptors(&auth).0 <= sockets).then_some(())).await;
        seen.push((settled(&auth).await, descriptors(&auth).1));
    }
    // The first batch fills the caches and opens the database connections: four, with two files each.
    let [_, (memory, files), (memory_after, files_after)] = seen[..] else { unreachable!() };
    assert!(memory_after <= memory + MARGIN, "memory: {seen:?}; {MARGIN} bytes may be lost");
    assert!(files_after <= files + 8, "files: {seen:?}");
    assert_eq!(auth.stop().await.code, Some(0));
    world.stop().await;
}
