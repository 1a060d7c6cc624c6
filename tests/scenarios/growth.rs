//! What a service takes of its machine stays flat, whatever it is asked and however often.

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

/// How often each kind of request is sent in a batch.
const ROUNDS: usize = 120;

/// How many connections log in at once, before the one slot for hashing.
const LOGINS: usize = 8;

/// How often each other kind is sent in a round.
const OF_EACH: usize = 6;

/// Requests of a batch: the eight others that many times, and a refresh.
const REQUESTS: usize = ROUNDS * (LOGINS + OF_EACH * 8 + 1);

/// What memory may differ by from one batch to the next: half of what a leak of 200 bytes a request comes to.
const MARGIN: usize = REQUESTS * 100;

/// Memory is settled when it has not fallen for so many looks, of five milliseconds.
const LOOKS: usize = 200;

/// What it settles below, in bytes: less than one password takes to hash.
const IDLE: usize = 14 * 1024 * 1024;

/// What somebody shows who has no token.
fn unknown() -> String {
    let random = || URL_SAFE_NO_PAD.encode((&SystemRandom as &dyn Random).bytes::<64>().unwrap());
    format!("{}.{}.{}", random(), random(), random())
}

/// Requests that change nothing, but for the refresh: known and unknown tokens, and what is refused for every reason.
struct Batch<'t> {
    address: SocketAddr,
    access: &'t str,
    refresh: String,
}

impl Batch<'_> {
    /// Each request, and what it has to be answered.
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

/// Memory of its own, in bytes: not the program's pages, nor those of files.
fn memory(process: &Process) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    1_024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

/// The same when what was freed has gone back: the lane for hashing gives its memory back after half a second, and the
/// allocator after one more.
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

/// Sockets, and files.
fn descriptors(process: &Process) -> (usize, usize) {
    let links = fs::read_dir(format!("/proc/{}/fd", process.pid().as_raw_nonzero())).unwrap();
    // One may be closed meanwhile.
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
    // The first one fills what is kept: caches, and connections to the database, four of them of two files each.
    let [_, (memory, files), (memory_after, files_after)] = seen[..] else { unreachable!() };
    assert!(memory_after <= memory + MARGIN, "memory: {seen:?}; {MARGIN} bytes may be lost");
    assert!(files_after <= files + 8, "files: {seen:?}");
    assert_eq!(auth.stop().await.code, Some(0));
    world.stop().await;
}
