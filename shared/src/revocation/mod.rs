//! What is revoked before its time: the entries of the issuer's revocation log, and the set of those in force.
//!
//! Pure: following the log, and when to forget an entry, is others' work.

#[cfg(feature = "watch")]
mod bundle;
#[cfg(feature = "watch")]
mod bundle_file;
mod entry;
mod fingerprint;
#[cfg(feature = "watch")]
mod follower;
#[cfg(feature = "watch")]
mod forgetting;
mod freshness;
#[cfg(feature = "watch")]
mod reading;
mod set;
#[cfg(feature = "wire")]
pub mod wire;

#[cfg(feature = "watch")]
pub use bundle::{Bundle, BundleKey, InvalidBundle};
#[cfg(feature = "watch")]
pub use bundle_file::{BundleFile, NoBundle};
pub use entry::{Entry, Revocation};
pub(crate) use fingerprint::Subjects;
#[cfg(feature = "watch")]
pub use follower::{About, Followed, Follower};
pub use freshness::{Freshness, Position, SILENCE, StalePolicy, UnknownStalePolicy};
pub use set::{RevocationSet, Revocations};
