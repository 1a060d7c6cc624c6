//! Claims and revocations as protobuf messages, both ways: for the issuer, and for whoever asks it.

pub mod claims;
pub mod revocation;
mod stale_policy;
