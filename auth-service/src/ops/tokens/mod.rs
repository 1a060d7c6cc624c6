//! Access tokens: minted, and answered for.
//!
//! - [`mint`] — the one way to an access token
//! - [`mint_permit`] — the watermark that is stored before a token is minted
//! - [`introspect`] — whether a token is alive (RFC 7662)

pub mod introspect;
pub mod mint;
pub mod mint_permit;
