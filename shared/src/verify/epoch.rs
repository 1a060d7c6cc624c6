//! Epochs: which state of a changing thing was looked at. No two states in a process have the same one, whichever thing they
//! are of, so that what is remembered of one thing is never taken for something of another.

use std::sync::atomic::{AtomicU64, Ordering};

/// A state of a changing thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// No state of anything.
    pub(crate) const NONE: Self = Self(0);

    /// One that nothing had before.
    pub(crate) fn fresh() -> Self {
        // The standard library's even under a model checker: that numbers differ depends on no order.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The number of it, to be kept in an atomic.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}
