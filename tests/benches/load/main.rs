//! Measures the built binaries under load, from outside. Each figure is compared with a limit from the same run:
//!
//! ```sh
//! cargo bench --package tests --bench load -- refresh
//! ```
//!
//! The service has core 0 to itself, and its clients run on core 1. The ratios matter; the absolute figures depend on
//! the machine.

#![expect(clippy::disallowed_methods, reason = "a bench measures by the machine's clock")]

mod beside;
mod connections;
mod many_sessions;
mod overload;
mod peer;
mod refreshing;
mod revocation;
mod ring;
mod server;
mod spinning;
mod throughput;
mod timing;
mod unknown_kids;
mod waiters;

use std::{env, time::Duration};

/// The benches: name, description and function.
const BENCHES: &[(&str, &str, fn())] = &[
    (
        "refresh",
        "refreshes over HTTP per second, each durable / raw RSA-2048 signatures per second, on one core",
        throughput::refresh,
    ),
    ("issue", "tokens by client_credentials over HTTP per second / the same", throughput::issue),
    (
        "grpc",
        "gRPC introspections of a token seen before / unary calls of tonic's, as many bytes",
        beside::grpc,
    ),
    ("introspect", "the same over HTTP / POSTs of axum's, answered the same bytes", beside::introspect),
    ("jwks", "key sets / GETs of axum's, answered the same bytes", beside::jwks),
    (
        "protected",
        "a protected route / the same listener, layers and bytes without the extractor",
        beside::protected,
    ),
    (
        "timing",
        "logins of known, unknown and disabled accounts: bytes, and medians over 2,000 tries",
        timing::run,
    ),
    (
        "overload",
        "refresh, introspection and JWKS while ten times too many logins are tried; memory",
        overload::run,
    ),
    (
        "sessions",
        "refreshes of others while an account with 100,000 sessions logs out everywhere",
        many_sessions::run,
    ),
    (
        "waiters",
        "refreshes of others while 3,000 requests wait for a verifier that never acknowledges",
        waiters::run,
    ),
    (
        "revocation",
        "a revocation's way to 1, 100 and 1,000 verifiers that watch, and what an idle one costs",
        revocation::run,
    ),
    (
        "catch-up",
        "how long a fresh verifier takes to learn of 1,000,000 live revocations",
        revocation::catch_up,
    ),
    (
        "connections",
        "4,300 connections of one address at each port, and everybody else's requests meanwhile",
        connections::run,
    ),
    (
        "unknown-kids",
        "good requests to resource-service under a flood of random kids, beside one of bad signatures",
        unknown_kids::run,
    ),
];

fn main() {
    let asked: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [argument, kind] = &asked[..]
        && argument == peer::PEER
    {
        return peer::run(kind);
    }
    let is_known = |name: &String| name == "all" || BENCHES.iter().any(|(known, ..)| known == name);
    if asked.is_empty() || !asked.iter().all(is_known) {
        println!("cargo bench --package tests --bench load -- WHAT…\n");
        for (name, words, _) in BENCHES {
            println!("  {name:<14}{words}");
        }
        return println!("  {:<14}all of them", "all");
    }
    for (name, _, run) in BENCHES {
        if asked.iter().any(|asked| asked == name || asked == "all") {
            run();
        }
    }
}

/// The median.
fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    percentile(values, 50)
}

/// The percentile: `percent` of a hundred values are not above it.
fn percentile<T: PartialOrd + Copy>(values: &mut [T], percent: usize) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("numbers"));
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}
