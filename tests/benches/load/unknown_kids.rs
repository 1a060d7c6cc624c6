//! A flood of tokens with random `kid`s, compared with a flood of bad signatures under a known `kid`. Measures the
//! effect on valid requests, and the number of requests for the issuer's keys.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Http,
    jws::{b64, message, seal, segments, unb64},
    process::Process,
    wire::{Request, Wire},
    world::RESOURCE,
};

use crate::{
    median, millis,
    overload::every,
    percentile,
    server::{Server, resource},
};

/// Duration of each flood. `TURNS` is the number of floods of each kind. The kinds alternate, so that other load on the
/// machine affects both.
const SPAN: Duration = Duration::from_secs(3);
const TURNS: usize = 9;

/// Number of connections of the flood.
const CONNECTIONS: u32 = 4;

/// Time between two valid requests.
const PACE: Duration = Duration::from_millis(2);

/// Makes the `kid` of the token with this number.
type Kid = dyn Fn(u64) -> String + Sync;

pub(crate) fn run() {
    let issuer = Server::start(&[]);
    for is_streaming in [false, true] {
        let mut settings = vec![("RESOURCE_AUTH_URL", format!("http://{}", issuer.http()))];
        if is_streaming {
            settings.extend([
                ("RESOURCE_AUTH_GRPC", format!("http://{}", issuer.process().address("grpc"))),
                ("RESOURCE_CLIENT_ID", RESOURCE.0.to_owned()),
                ("RESOURCE_CLIENT_SECRET", RESOURCE.1.to_owned()),
            ]);
        }
        let (verifier, _folder) = resource(&settings);
        println!("{}", if is_streaming { "with the issuer's stream" } else { "without a stream" });
        floods(&issuer, &verifier);
    }
}

fn floods(issuer: &Server, verifier: &Process) {
    let good = issuer.login()["access_token"].as_str().unwrap().to_owned();
    let header: serde_json::Value = serde_json::from_slice(&unb64(segments(&good)[0])).unwrap();
    let known = header["kid"].as_str().unwrap().to_owned();
    let kinds: [(&str, Box<Kid>); 2] = [
        ("bad signatures", Box::new(move |_| known.clone())),
        (
            "random kids",
            Box::new(|number: u64| b64(number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes().repeat(4))),
        ),
    ];
    let capacity = |(_, kid): &(&str, Box<Kid>)| {
        let sent = flood(verifier, kid, Duration::ZERO, &mut || thread::sleep(Duration::from_secs(2)));
        f64::from(u32::try_from(sent).unwrap()) / 2.0
    };
    let rates = [capacity(&kinds[0]), capacity(&kinds[1])];
    let rate = 0.7 * rates[0].min(rates[1]);
    let (before, began) = (fetches(issuer), Instant::now());
    let (mut of_turns, mut ratios, mut sent) = ([Vec::new(), Vec::new()], Vec::new(), [0, 0]);
    for _ in 0..TURNS {
        for (at, (_, kid)) in kinds.iter().enumerate() {
            let pace = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
            let mut times = Vec::new();
            sent[at] += flood(verifier, kid, pace, &mut || times = good_traffic(verifier, &good));
            of_turns[at].push(millis(percentile(&mut times, 99)));
        }
        ratios.push(of_turns[1].last().unwrap() / of_turns[0].last().unwrap());
    }
    let (fetched, took) = (fetches(issuer) - before, began.elapsed());
    let [bad, random] = of_turns.map(|mut times| median(&mut times));
    println!(
        "as fast as it goes: {:.0} bad signatures, {:.0} random kids a second; then {rate:.0} of either: {sent:?}",
        rates[0], rates[1]
    );
    println!(
        "good traffic, p99: {bad:.2} ms under bad signatures, {random:.2} ms under random kids: {:.2} × (target 1.2); by turns {ratios:.2?}",
        median(&mut ratios.clone())
    );
    println!("fetches of the key set: {fetched} in {:.0} s (the cool-down is 10 s)\n", took.as_secs_f64());
}

/// Floods until `meanwhile` returns. Returns the number of requests.
fn flood(verifier: &Process, kid: &Kid, pace: Duration, meanwhile: &mut dyn FnMut()) -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = verifier.address("http");
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (stop, sent) = (&stop, &sent);
            scope.spawn(move || {
                let mut wire = Wire::to(address);
                every(pace, pace * number / CONNECTIONS, |_| {
                    let kid = kid(NUMBER.fetch_add(1, Ordering::Relaxed));
                    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": kid});
                    let token = seal(&message(header.to_string(), "{}"), [0; 256]);
                    let request = Request::new("GET", "/protected-route").bearer(&token);
                    assert_eq!(wire.ask(&request).status, 401);
                    sent.fetch_add(1, Ordering::Relaxed);
                    !stop.load(Ordering::Relaxed)
                });
            });
        }
        meanwhile();
        stop.store(true, Ordering::Relaxed);
    });
    sent.into_inner()
}

fn good_traffic(verifier: &Process, token: &str) -> Vec<Duration> {
    let mut wire = Wire::to(verifier.address("http"));
    let request = Request::new("GET", "/protected-route").bearer(token);
    let (mut times, started) = (Vec::new(), Instant::now());
    every(PACE, Duration::ZERO, |due| {
        assert_eq!(wire.ask(&request).status, 200);
        times.push(due.elapsed());
        started.elapsed() < SPAN
    });
    times
}

/// Number of requests for the issuer's key set so far, by the issuer's metrics.
fn fetches(issuer: &Server) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ops: Http = issuer.process().ops();
    let metrics = runtime.block_on(async { ops.get("/metrics").await });
    let lines = metrics
        .text()
        .lines()
        .filter(|line| line.starts_with("countermark_http_requests_total") && line.contains("jwks.json"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}
