//! The revocation loop in a simulated network: real issuers and real verifiers in one thread, with simulated time. A
//! seed determines a run completely: `COUNTERMARK_SEED` repeats one.
//!
//! - [`run`] — the events of a run, and the properties that must hold meanwhile
//! - [`issuer`], [`verifier`], [`keys`] — the two sides, wired as the binaries wire them
//! - [`trace`], [`replay`] — what was said, and the model of the protocol that says the same
//! - [`gate`] — a host that makes no progress while time passes
//! - [`time`], [`draw`], [`queue`] — simulated time, random choices, and the hosts' inputs

mod draw;
mod gate;
mod issuer;
mod keys;
mod queue;
mod replay;
mod run;
mod time;
mod trace;
mod verifier;

use tests::effort;

/// Number of barriers that all runs together must answer.
fn barriers() -> usize {
    effort::effort(1, 1_500, 100_000)
}

/// Number of runs in which the database has to go back.
fn steps_back() -> usize {
    effort::effort(1, 6, 100)
}

/// Number of times that it has to go back in runs in which it does so again and again.
fn repeated_steps_back() -> usize {
    effort::effort(1, 20, 10_000)
}

/// Runs whose every message is replayed through the model: the same ones each time.
const REPLAYED: [u64; 4] = [2, 3, 16, 20];

#[test]
fn what_is_said_is_what_the_model_of_the_protocol_says() {
    let mut all = run::Tally::default();
    for seed in REPLAYED {
        let tally = run::Run::new(seed).replayed().play();
        println!("{seed}: {tally:?}");
        all += tally;
    }
    assert!(all.replayed > 1_000 && all.went_back > 0 && all.complete > 0, "{all:?}");
}

/// A stale verifier asks another process of the issuer than the one that has just said "complete". That process reads the log
/// a moment later.
const ASKED_ELSEWHERE: u64 = 0x7bb8_c7eb_6fd4_e310;

#[test]
fn what_one_process_calls_complete_no_other_calls_active() {
    let tally = run::Run::new(ASKED_ELSEWHERE).play();
    assert!(tally.complete > 0 && tally.refused > 0, "{tally:?}");
}

#[test]
fn nothing_revoked_is_accepted_past_its_bound_whatever_happens_to_network_processes_and_clocks() {
    let seed = effort::seed();
    let mut seed = u64::from_be_bytes(seed[..8].try_into().unwrap());
    let mut seeds = draw::Draw::new(seed);
    let mut all = run::Tally::default();
    // One run may show little. For example, verifiers with the policy allow are never stale.
    let shows = |all: &run::Tally| {
        let answered = all.accepted.min(all.refused).min(all.later);
        let acted = all.rotated.min(all.restored).min(all.went_back);
        all.complete > 0 && answered > 0 && acted > 0
    };
    while all.complete + all.incomplete < barriers() || all.went_back < steps_back() || !shows(&all) {
        // Printed before the run. The seed repeats this run alone.
        println!("COUNTERMARK_SEED={seed:016x}{:048}", 0);
        let tally = run::Run::new(seed).play();
        println!("{tally:?}");
        all += tally;
        seed = seeds.number();
    }
    println!("in all: {all:?}");
}

#[test]
fn nothing_revoked_is_accepted_past_its_bound_however_often_the_database_goes_back() {
    let seed = effort::seed();
    let mut seed = u64::from_be_bytes(seed[..8].try_into().unwrap());
    let mut seeds = draw::Draw::new(seed);
    let mut all = run::Tally::default();
    while all.went_back < repeated_steps_back() {
        println!("COUNTERMARK_SEED={seed:016x}{:048}", 0);
        all += run::Run::new(seed).going_back_again().play();
        println!("so far: {all:?}");
        seed = seeds.number();
    }
}
