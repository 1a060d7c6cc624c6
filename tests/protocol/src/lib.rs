//! The revocation protocol as a state machine: one issuer with its database, and the verifiers that watch it. `docs/protocol.md`
//! tells it to a reader.
//!
//! A search visits every state that the machine can reach within its [`Bounds`]. In each of them every [law](laws) must hold.
//! A [`Variant`] leaves out one part of the protocol, and the search must find where that breaks a law.
//!
//! - [`bounds`] — what may happen, and how often
//! - [`variant`] — the parts that can be left out
//! - [`state`] — positions, the log, the issuer, the verifiers, and messages on their way
//! - [`action`] — what can happen next
//! - [`step`] — what it changes
//! - [`laws`] — what must hold
//!
//! # Time
//!
//! Of a time that passed one bit is kept: whether `stale_after` has passed since. [`Action::Tick`] lets it pass everywhere. What a
//! verifier or the issuer knows of an instant before it is old from then on.

#![expect(clippy::struct_excessive_bools, reason = "a state is made of facts, and each is a bit of its own")]

pub mod action;
pub mod bounds;
pub mod laws;
pub mod state;
pub mod step;
pub mod variant;

pub use action::Action;
pub use bounds::{Bounds, Policy, Rotation};
pub use state::State;
pub use variant::Variant;

use stateright::{Model, Property};

/// The protocol within its bounds.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What may happen.
    pub bounds: Bounds,
    /// What is left out.
    pub variant: Variant,
    /// Whether states count as one that differ in what makes no difference: in the order of the verifiers, for example. A replay
    /// keeps them apart.
    pub is_folded: bool,
}

impl Protocol {
    /// Whether a barrier for the entry with that number is complete.
    #[must_use]
    pub fn is_complete(&self, state: &State, number: u8) -> bool {
        step::is_complete(state, number, self.variant)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        action::possible(self, state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        step::next(self, last, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::all(&self.bounds)
    }
}
