//! Measures a service's operations per second against raw RSA signatures on the same core.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{jws::RsaKey, wire::Request, world::BILLING};

use crate::{
    median,
    server::{CLIENT, SERVICE, Server, pin, processor_time},
    spinning::Spinning,
};

/// Number of rounds. The rounds alternate between the two, so that other load on the machine affects both.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

/// Number of concurrent clients.
const CLIENTS: usize = 48;

/// Refreshes. Each client has its own session.
pub(crate) fn refresh() {
    let server = Server::start(&[]);
    let asked = |token: &Value| Request::new("POST", "/refresh").bearer(token.as_str().unwrap());
    let next = move |answer: &str| {
        let answer: Value = serde_json::from_str(answer).unwrap();
        Some(asked(&answer["refresh_token"]))
    };
    let clients = (0..CLIENTS).map(|_| (asked(&server.login()["refresh_token"]), next));
    let ratio = measure("refreshes, each durable", &server, Spinning::to(server.http(), clients));
    println!("refreshes / raw signatures: {ratio:.3} (target 0.75)\n");
}

/// Service tokens.
pub(crate) fn issue() {
    let server = Server::start(&[]);
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", BILLING.0, BILLING.1);
    let asked = Request::new("POST", "/oauth/token").form(&form);
    let clients = (0..CLIENTS).map(|_| (asked.clone(), |_: &str| None));
    let ratio = measure("tokens by client_credentials", &server, Spinning::to(server.http(), clients));
    println!("tokens / raw signatures: {ratio:.3} (target 0.90)\n");
}

/// The median ratio of the rounds.
fn measure<F>(what: &str, server: &Server, mut clients: Spinning<F>) -> f64
where
    F: FnMut(&str) -> Option<Request>,
{
    let (mut ratios, mut rates, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut spent, mut spent_by_kernel, mut signature_spent) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (all_before, kernel_before) = processor_time(server.process().pid());
        let started = Instant::now();
        let answered = clients.run(ROUND);
        let rate = per_second(answered, started.elapsed());
        let (all, kernel) = processor_time(server.process().pid());
        let (limit, signature) = signatures();
        // The first round warms up and is not counted.
        if round > 0 {
            rates.push(rate);
            limits.push(limit);
            signature_spent.push(signature);
            ratios.push(rate / limit);
            spent.push(1.0e6 / per_second(answered, all - all_before));
            spent_by_kernel.push(1.0e6 / per_second(answered, kernel - kernel_before));
        }
    }
    println!("{what:<34}{:>9.0} /s", median(&mut rates));
    println!("{:<34}{:>9.0} /s", "raw RSA-2048 signatures", median(&mut limits));
    println!(
        "{:<34}{:>9.1} µs, the kernel's part of it {:.1}; a signature {:.1}",
        "processor time each",
        median(&mut spent),
        median(&mut spent_by_kernel),
        median(&mut signature_spent)
    );
    median(&mut ratios)
}

/// Raw signatures per second on the service's core while the service is idle, and the processor time of one in µs.
fn signatures() -> (f64, f64) {
    let key = RsaKey::generate();
    thread::scope(|scope| {
        let measured = scope.spawn(|| {
            pin(SERVICE);
            let (mut signed, started) = (0, Instant::now());
            while started.elapsed() < ROUND / 2 {
                black_box(key.sign("RS256", [7; 700]));
                signed += 1;
            }
            let rate = per_second(signed, started.elapsed());
            let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            let spent = spent.split(' ').next().unwrap().parse().map(Duration::from_nanos).unwrap();
            (rate, 1.0e6 / per_second(signed, spent))
        });
        measured.join().unwrap()
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds' work")]
fn per_second(count: u64, span: Duration) -> f64 {
    debug_assert_ne!(CLIENT, SERVICE);
    count as f64 / span.as_secs_f64()
}
