//! Epochs: numbers for the states of a key set or a revocation set. Each state in a process has its own number, across
//! all sets. A cached result for one state is therefore never used for another.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of one state of one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// The epoch of no state. No set ever has it.
    pub(crate) const NONE: Self = Self(0);

    /// A new epoch. It differs from all earlier ones.
    pub(crate) fn fresh() -> Self {
        // Uses the standard library's atomic even under the model checker. The numbers differ in any order of threads.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The epoch as a number, for an atomic.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}
