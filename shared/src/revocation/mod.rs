//! What is revoked before its time: the entries of the issuer's revocation log, and the set of those in force.
//!
//! Pure: following the log, and when to forget an entry, is others' work.

mod entry;
mod fingerprint;
#[cfg(feature = "watch")]
mod follower;
mod freshness;
#[cfg(feature = "watch")]
mod reading;
mod set;
#[cfg(feature = "wire")]
pub mod wire;

pub use entry::{Entry, Revocation};
pub(crate) use fingerprint::Subjects;
#[cfg(feature = "watch")]
pub use follower::{About, Followed, Follower};
pub use freshness::{Freshness, Position, SILENCE, StalePolicy, UnknownStalePolicy};
pub use set::{RevocationSet, Revocations};
