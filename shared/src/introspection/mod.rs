//! Asking the issuer whether a token is alive: the gRPC form of RFC 7662, for services that want the live answer.
//!
//! - [`wire`] — claims on the wire, both ways; for the issuer and for those who ask it (feature `wire`)
//! - `client`: asks, within a deadline, and again when the issuer is not there (feature `introspection`)

#[cfg(feature = "introspection")]
pub mod client;
#[cfg(feature = "introspection")]
mod config;
#[cfg(feature = "introspection")]
mod error;
pub mod wire;

#[cfg(feature = "introspection")]
pub use client::IntrospectionClient;
#[cfg(feature = "introspection")]
pub use config::{IntrospectionConfig, InvalidConfig};
#[cfg(feature = "introspection")]
pub use error::IntrospectionError;
pub use wire::InvalidAnswer;

#[cfg(test)]
#[cfg(feature = "introspection")]
mod tests;
