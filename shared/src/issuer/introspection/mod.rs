//! Asks the issuer whether a token is alive: the gRPC form of RFC 7662, for services that need the issuer's own answer.
//! The client asks again until its deadline while the issuer can't be reached.

mod client;
mod config;
mod error;

pub use client::IntrospectionClient;
pub use config::{IntrospectionConfig, InvalidConfig};
pub use error::IntrospectionError;
#[cfg(feature = "watch")]
pub(super) use error::{NOT_GRPC, is_no_grpc};

#[cfg(test)]
mod tests;
