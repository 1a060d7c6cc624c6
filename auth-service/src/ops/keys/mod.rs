//! Keys: made, rotated, replaced, and sealed with another master key.
//!
//! - [`signing`] — the signing keys at start
//! - [`rotation`] — what becomes of them later
//! - [`refresh_keys`] — the keys that refresh tokens are derived from
//! - [`reseal`] — all keys move to another master key

pub mod refresh_keys;
pub mod reseal;
pub mod rotation;
pub mod signing;
