//! What must hold in every state, and what must happen in some.

use stateright::Property;

use crate::{
    Bounds, Protocol, State,
    state::{NextKey, Verifier, narrow},
};

/// No token is accepted past the bound, by a verifier that refuses when it is stale.
pub const BOUND: &str = "who lacks a revocation is stale once stale_after has passed";
/// Complete means refused everywhere.
pub const BARRIER: &str = "complete means refused by all who watch";
/// Nobody is current by another log.
pub const ANOTHER_LOG: &str = "nobody is current by another log";
/// A verifier never forgets.
pub const REFUSED: &str = "who has refused a token never accepts it again";
/// A spent refresh token never lives again.
pub const SPENT: &str = "no spent refresh token lives again";
/// A key signs when all who watch hold it.
pub const GATE: &str = "no key signs before all who watch hold it";
/// Without a loss nothing stops the issuer.
pub const FALSE_ALARM: &str = "nobody stops an issuer that has lost nothing";
/// A witness is noticed.
pub const WITNESS: &str = "who shows a position that was lost is a witness";

/// All of them, as far as they apply within the bounds.
#[must_use]
pub fn all(bounds: &Bounds) -> Vec<Property<Protocol>> {
    let mut laws = vec![
        Property::always(BOUND, |_, state: &State| bound(state)),
        Property::always(BARRIER, |_, state: &State| !state.faults.complete_too_early),
        Property::always(ANOTHER_LOG, |_, state: &State| !state.faults.followed_another_log),
        Property::always(REFUSED, |_, state: &State| !state.faults.accepted_again),
        Property::always(SPENT, |_, state: &State| !state.faults.spent_token_lived),
        Property::always(GATE, |_, state: &State| !state.faults.signed_too_early),
        Property::always(FALSE_ALARM, |_, state: &State| !state.database.has_evidence || state.went_back),
        Property::always(WITNESS, |_, state: &State| !state.faults.overlooked_a_witness),
    ];
    // A search in which nothing of this happens shows nothing.
    if bounds.entries > 0 {
        laws.push(Property::sometimes("all are current after the last revocation", all_are_current));
    }
    if bounds.steps_back > 0 {
        laws.push(Property::sometimes("all are current after a recovery", |protocol, state: &State| {
            state.next_log > 1 && !state.went_back && all_are_current(protocol, state)
        }));
        laws.push(Property::sometimes("an issuer refuses to start", |_, state: &State| state.does_refuse));
        laws.push(Property::sometimes("a witness speaks", |_, state: &State| {
            state.database.has_evidence && state.mark_went_back && state.memory.is_none()
        }));
    }
    if bounds.rotation.is_some() {
        laws.push(Property::sometimes("the next key signs", |_, state: &State| {
            state.database.next_key == NextKey::Signs
                && state.database.watchers.iter().all(|watcher| watcher.is_connected)
        }));
    }
    laws
}

fn all_are_current(_: &Protocol, state: &State) -> bool {
    let made = narrow(state.made.len());
    let is_current =
        |verifier: &Verifier| verifier.is_fresh && (0..made).all(|id| state.is_settled(verifier, id));
    state.due_below == made && made > 0 && state.verifiers.iter().all(is_current)
}

fn bound(state: &State) -> bool {
    let knows = |verifier: &Verifier| (0..state.due_below).all(|id| state.is_settled(verifier, id));
    state.verifiers.iter().filter(|verifier| verifier.does_deny && verifier.is_fresh).all(knows)
}
