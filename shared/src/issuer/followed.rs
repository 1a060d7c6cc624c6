//! The state that a follower keeps current.

use std::sync::Arc;

use super::KeySource;
use crate::verify::{Freshness, Revocations};

/// The state that a follower keeps current, and that verifies tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Followed {
    /// The revocations in force.
    pub revocations: Arc<Revocations>,
    /// How current they are.
    pub freshness: Arc<Freshness>,
    /// The keys, fetched when the issuer announces others.
    pub keys: Arc<dyn KeySource>,
}

impl Followed {
    /// The state of these three, which others may share.
    #[must_use]
    pub fn new(revocations: Arc<Revocations>, freshness: Arc<Freshness>, keys: Arc<dyn KeySource>) -> Self {
        Self { revocations, freshness, keys }
    }
}
