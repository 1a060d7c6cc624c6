//! The gRPC contract, compiled: messages, clients and servers of package `auth.v1`; and under the feature `envoy` what
//! Envoy asks an external authorization service.
//!
//! The contract itself, for every other language, is `auth/v1/*.proto` beside this crate's manifest; the import root is
//! that folder.

/// Package `auth.v1`.
pub mod auth_v1 {
    tonic::include_proto!("auth.v1");
}

/// Package `envoy.service.auth.v3`, as far as forward-auth needs it.
#[cfg(feature = "envoy")]
pub mod envoy_auth_v3 {
    tonic::include_proto!("envoy.service.auth.v3");
}

/// The encoded `FileDescriptorSet` of the contract, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("auth.v1");
