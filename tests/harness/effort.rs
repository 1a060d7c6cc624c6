//! Effort of the tests that could run for ever: small in an everyday run, the promised amount in CI, and the full
//! amount once before a release.

use std::{array, env};

use countermark::random::{Random, SystemRandom};

/// Environment variable for the effort: `everyday` (the default), `ci`, or `full`.
const VARIABLE: &str = "COUNTERMARK_EFFORT";

/// Returns the number for the effort of this run.
///
/// # Panics
/// When the variable has another value. A run that should be thorough must not pass as a short one.
pub fn effort(everyday: usize, ci: usize, full: usize) -> usize {
    match env::var(VARIABLE).as_deref() {
        Err(_) | Ok("everyday") => everyday,
        Ok("ci") => ci,
        Ok("full") => full,
        Ok(other) => panic!("{VARIABLE} is {other:?}, and none of everyday, ci and full"),
    }
}

/// Seed of a randomised run. It is new each time and printed. `COUNTERMARK_SEED` sets it, to repeat a run.
///
/// # Panics
/// When `COUNTERMARK_SEED` is not 64 hexadecimal digits.
pub fn seed() -> [u8; 32] {
    let seed = env::var("COUNTERMARK_SEED").map_or_else(
        |_| (&SystemRandom as &dyn Random).bytes().unwrap(),
        |text| {
            assert_eq!(text.len(), 64, "COUNTERMARK_SEED has 64 hexadecimal digits");
            array::from_fn(|at| {
                u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hexadecimal digits")
            })
        },
    );
    println!("COUNTERMARK_SEED={}", seed.map(|byte| format!("{byte:02x}")).concat());
    seed
}
