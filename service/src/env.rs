//! The clock and the randomness of a service. Tests inject their own.

use std::sync::Arc;

use countermark::{
    clock::{Clock, SystemClock},
    random::{Random, SystemRandom},
};

/// The injected clock and randomness.
#[derive(Clone, Debug)]
pub struct Env {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
}

impl Default for Env {
    /// The system's clock and randomness.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock::new()), random: Arc::new(SystemRandom) }
    }
}
