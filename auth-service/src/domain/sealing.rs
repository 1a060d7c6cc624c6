//! Which master key seals the other keys.

/// Counts master keys: goes up by one at each reseal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterKeyEpoch(i64);

impl MasterKeyEpoch {
    /// The epoch of that number.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }
}
