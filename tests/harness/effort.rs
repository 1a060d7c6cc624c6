//! How much a story that could go on for ever is to try: little in an everyday run, what the checks promise in CI, and
//! everything once before a release.

use std::env;

/// The variable that says it: `everyday` (when unset), `ci`, or `full`.
const VARIABLE: &str = "TESSERA_EFFORT";

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
