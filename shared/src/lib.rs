//! Protect a Rust service with Tessera's access tokens: verified locally, with the issuer's published keys.

pub mod clock;
mod epoch;
#[cfg(test)]
mod forge;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "wire")]
pub mod introspection;
pub mod jwks;
pub mod random;
pub mod revocation;
#[cfg(feature = "service")]
pub mod service;
mod sync;
pub mod token;
