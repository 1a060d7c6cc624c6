//! The gRPC contract, compiled: messages, clients and servers of package `auth.v1`, and nothing else.
//!
//! The contract itself, for every other language, is `auth/v1/*.proto` beside this crate's manifest; the import root is
//! that folder.

/// Package `auth.v1`.
pub mod auth_v1 {
    tonic::include_proto!("auth.v1");
}

/// The encoded `FileDescriptorSet` of the contract, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("auth.v1");
