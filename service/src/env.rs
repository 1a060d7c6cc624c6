//! What a service takes from outside, so that a test can put its own in.

use std::sync::Arc;

use countermark::{
    clock::{Clock, SystemClock},
    random::{Random, SystemRandom},
};

/// Time and randomness, handed in.
#[derive(Clone, Debug)]
pub struct Env {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub random: Arc<dyn Random>,
}

impl Default for Env {
    /// The machine's own.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock::new()), random: Arc::new(SystemRandom) }
    }
}
