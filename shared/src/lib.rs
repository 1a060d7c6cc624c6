//! Protect a Rust service with Tessera's access tokens: verified locally, with the issuer's published keys.

pub mod clock;
#[cfg(feature = "http")]
pub mod http;
pub mod jwks;
pub mod random;
#[cfg(feature = "service")]
pub mod service;
pub mod token;
