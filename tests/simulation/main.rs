//! The loop in a simulated network: real issuers and real verifiers, in one thread, with simulated time. What a seed draws
//! happens again when it is drawn again: `COUNTERMARK_SEED` plays a run once more.
//!
//! - [`run`] — what happens to them, and what has to hold meanwhile
//! - [`issuer`], [`verifier`], [`keys`] — the two sides, wired as the binaries wire them
//! - [`gate`] — a host that makes no progress while time passes
//! - [`time`], [`draw`], [`queue`] — time and chance, simulated, and what hosts are told

mod draw;
mod gate;
mod issuer;
mod keys;
mod queue;
mod run;
mod time;
mod verifier;

use tests::effort;

/// How many barriers have to answer, all runs together.
fn barriers() -> usize {
    effort::effort(1, 1_500, 100_000)
}

#[test]
fn nothing_revoked_is_accepted_past_its_bound_whatever_happens_to_network_processes_and_clocks() {
    let seed = effort::seed();
    let mut seed = u64::from_be_bytes(seed[..8].try_into().unwrap());
    let mut seeds = draw::Draw::new(seed);
    let mut all = run::Tally::default();
    // A single run may show little: one whose verifiers all allow is never stale.
    let shows = |all: &run::Tally| {
        let [judged, acted] = [all.accepted.min(all.refused).min(all.later), all.rotated.min(all.restored)];
        all.complete > 0 && judged > 0 && acted > 0
    };
    while all.complete + all.incomplete < barriers() || !shows(&all) {
        // Said first: it plays this run alone again.
        println!("COUNTERMARK_SEED={seed:016x}{:048}", 0);
        let tally = run::Run::new(seed).play();
        println!("{tally:?}");
        all += tally;
        seed = seeds.number();
    }
    println!("in all: {all:?}");
}
