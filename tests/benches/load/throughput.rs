//! How much of one thing the service does per second, beside raw RSA signatures on the same core.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use tests::{
    jws::RsaKey,
    wire::{Request, Wire},
    world::BILLING,
};

use crate::{
    median,
    server::{CLIENT, SERVICE, Server, pin, processor_time},
};

/// Rounds, alternating between the two, so that whatever else the machine does meets both.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

/// Clients that ask at once.
const CLIENTS: usize = 48;

/// Refreshes, each client in a session of its own.
pub(crate) fn refresh() {
    let server = Server::start(&[]);
    let chains: Vec<_> = (0..CLIENTS).map(|_| server.login()["refresh_token"].clone()).collect();
    let ratio = measure("refreshes, each durable", &server, |number| {
        let mut token = chains[number].as_str().unwrap().to_owned();
        move |wire: &mut Wire| {
            let answer = wire.ask(&Request::new("POST", "/refresh").bearer(&token)).is(200);
            answer["refresh_token"].as_str().unwrap().clone_into(&mut token);
        }
    });
    println!("refreshes / raw signatures: {ratio:.3} (target 0.75)\n");
}

/// Service tokens.
pub(crate) fn issue() {
    let server = Server::start(&[]);
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", BILLING.0, BILLING.1);
    let ratio = measure("tokens by client_credentials", &server, |_| {
        let request = Request::new("POST", "/oauth/token").form(&form);
        move |wire: &mut Wire| {
            let answer = wire.ask(&request);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
    println!("tokens / raw signatures: {ratio:.3} (target 0.90)\n");
}

/// The median of the ratios of the rounds.
fn measure<F: FnMut(&mut Wire) + Send>(what: &str, server: &Server, client: impl Fn(usize) -> F) -> f64 {
    let (running, counting) = (AtomicBool::new(true), AtomicBool::new(false));
    let count = AtomicU64::new(0);
    // They wait while signatures are measured.
    let clients: Vec<_> = (0..CLIENTS).map(&client).collect();
    let (mut ratios, mut rates, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut spent, mut spent_by_kernel, mut signature_spent) = (Vec::new(), Vec::new(), Vec::new());
    thread::scope(|scope| {
        for mut ask in clients {
            let (running, counting, count) = (&running, &counting, &count);
            let address = server.http();
            scope.spawn(move || {
                let mut wire = Wire::to(address);
                while running.load(Ordering::Relaxed) {
                    if counting.load(Ordering::Relaxed) {
                        ask(&mut wire);
                        count.fetch_add(1, Ordering::Relaxed);
                    } else {
                        thread::park_timeout(Duration::from_millis(5));
                    }
                }
            });
        }
        for round in 0..=ROUNDS {
            counting.store(true, Ordering::Relaxed);
            thread::sleep(ROUND / 8);
            let (before, started) = (count.load(Ordering::Relaxed), Instant::now());
            let (all_before, kernel_before) = processor_time(server.process().pid());
            thread::sleep(ROUND);
            let answered = count.load(Ordering::Relaxed) - before;
            let rate = per_second(answered, started.elapsed());
            let (all, kernel) = processor_time(server.process().pid());
            counting.store(false, Ordering::Relaxed);
            thread::sleep(ROUND / 8);
            let (limit, signature) = signatures();
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
                limits.push(limit);
                signature_spent.push(signature);
                ratios.push(rate / limit);
                spent.push(1.0e6 / per_second(answered, all - all_before));
                spent_by_kernel.push(1.0e6 / per_second(answered, kernel - kernel_before));
            }
        }
        running.store(false, Ordering::Relaxed);
    });
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

/// Raw signatures per second on the service's core, while it has nothing to do; and the processor time of one, in µs.
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
