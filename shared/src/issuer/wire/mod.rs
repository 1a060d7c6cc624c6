//! Claims and revocations as protobuf messages, in both directions.

pub mod claims;
pub mod revocation;
mod stale_policy;
