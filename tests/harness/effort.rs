//! How much a story that could go on for ever is to try: little in an everyday run, what the checks promise in CI, and
//! everything once before a release.

use std::{array, env};

use countermark::random::{Random, SystemRandom};

/// The variable that says it: `everyday` (when unset), `ci`, or `full`.
const VARIABLE: &str = "COUNTERMARK_EFFORT";

/// The number for the effort that this run is to make.
///
/// # Panics
/// When the variable says something else: a run that was meant to be thorough must not pass as a short one.
pub fn effort(everyday: usize, ci: usize, full: usize) -> usize {
    match env::var(VARIABLE).as_deref() {
        Err(_) | Ok("everyday") => everyday,
        Ok("ci") => ci,
        Ok("full") => full,
        Ok(other) => panic!("{VARIABLE} is {other:?}, and none of everyday, ci and full"),
    }
}

/// The seed of a run that draws at random: new each time and printed, or the one that `COUNTERMARK_SEED` says, to play a run
/// again.
///
/// # Panics
/// When what it says is not 64 hexadecimal digits.
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
