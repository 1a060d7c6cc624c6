//! Searches the whole space, within bounds: every law holds in every state, and what must be possible is.

#![expect(clippy::print_stdout, reason = "a search says what it has seen")]

use protocol_model::{Bounds, Policy, Protocol, Rotation, Variant};
use stateright::{Checker as _, Model as _};

/// The bounds of the searches that every check runs, and what each is about.
fn searches() -> Vec<(&'static str, Bounds)> {
    let none = Bounds::none;
    vec![
        ("four entries, a restart, a step back", Bounds { entries: 4, restarts: 1, steps_back: 1, ..none() }),
        (
            "late acknowledgements and lost messages",
            Bounds { entries: 2, steps_back: 1, late_acks: 1, losses: 1, ..none() },
        ),
        (
            "a session, and the same content again",
            Bounds { entries: 2, steps_back: 1, refreshes: 1, repeats: true, ..none() },
        ),
        (
            "a stolen key and a clock ahead",
            Bounds { entries: 2, steps_back: 1, has_keys_and_clocks: true, ..none() },
        ),
        ("swept entries", Bounds { entries: 3, steps_back: 1, sweeps: 1, ..none() }),
        (
            "a verifier that accepts when it is stale",
            Bounds {
                verifiers: vec![Policy::Deny, Policy::Allow],
                entries: 2,
                restarts: 1,
                steps_back: 1,
                ..none()
            },
        ),
        (
            "a rotation",
            Bounds {
                entries: 1,
                restarts: 1,
                late_acks: 1,
                rotation: Some(Rotation::SameAlgorithm),
                ..none()
            },
        ),
        (
            "a rotation to another algorithm",
            Bounds {
                entries: 1,
                restarts: 1,
                late_acks: 1,
                rotation: Some(Rotation::OtherAlgorithm),
                ..none()
            },
        ),
    ]
}

/// One more of each. They take minutes, and gigabytes.
fn larger_searches() -> Vec<(&'static str, Bounds)> {
    let most = || Bounds { entries: 4, restarts: 1, steps_back: 1, ..Bounds::none() };
    vec![
        ("five entries", Bounds { entries: 5, ..most() }),
        ("two restarts", Bounds { restarts: 2, ..most() }),
        ("two steps back", Bounds { entries: 2, steps_back: 2, ..most() }),
        ("three verifiers", Bounds { verifiers: vec![Policy::Deny; 3], entries: 2, ..most() }),
    ]
}

fn holds(what: &str, bounds: Bounds) {
    let protocol = Protocol { bounds, variant: Variant::Whole, is_folded: true };
    let search = protocol.checker().threads(2).spawn_dfs().join();
    let (states, steps) = (search.unique_state_count(), search.state_count());
    println!("{what}: {states} states, {steps} steps");
    search.assert_properties();
}

#[test]
fn every_law_holds_in_the_whole_space() {
    for (what, bounds) in searches() {
        holds(what, bounds);
    }
}

#[test]
#[ignore = "takes minutes and gigabytes: `tests/models/run more`"]
fn every_law_holds_with_one_more_of_each() {
    for (what, bounds) in larger_searches() {
        holds(what, bounds);
    }
}
