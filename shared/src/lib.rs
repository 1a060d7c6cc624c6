//! Protect a Rust service with Tessera's access tokens: verified locally, with the issuer's published keys.

#[cfg(any(feature = "introspection", feature = "service-token"))]
mod basic;
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
#[cfg(feature = "service-token")]
pub mod service_token;
mod sync;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod token;
