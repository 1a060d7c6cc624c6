//! What the built binaries do under load, from outside, each figure beside a limit of the same run:
//!
//! ```sh
//! cargo bench --package tests --bench load -- refresh
//! ```
//!
//! The service has core 0 to itself, and whoever asks it core 1. The ratios are what counts; the absolute figures are the
//! machine's.

#![expect(clippy::disallowed_methods, reason = "a bench measures by the machine's clock")]

mod overload;
mod server;
mod throughput;
mod timing;

use std::{env, time::Duration};

const HELP: &str = "\
cargo bench --package tests --bench load -- WHAT…

  refresh     refreshes over HTTP per second, each durable / raw RSA-2048 signatures per second, on one core
  issue       tokens by client_credentials over HTTP per second / the same
  timing      logins of known, unknown and disabled accounts: bytes, and medians over 2,000 tries
  overload    refresh, introspection and JWKS while ten times too many logins are tried; memory
  all         all of them";

fn main() {
    let asked: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if asked.is_empty() || asked.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return;
    }
    let wanted = |what: &str| asked.iter().any(|argument| argument == what || argument == "all");
    if wanted("refresh") {
        throughput::refresh();
    }
    if wanted("issue") {
        throughput::issue();
    }
    if wanted("timing") {
        timing::run();
    }
    if wanted("overload") {
        overload::run();
    }
}

/// The middle one.
fn median<T: PartialOrd + Copy>(values: &mut [T]) -> T {
    percentile(values, 50)
}

/// The one that so many in a hundred are not above.
fn percentile<T: PartialOrd + Copy>(values: &mut [T], percent: usize) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("numbers"));
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}
