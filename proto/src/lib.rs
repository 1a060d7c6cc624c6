//! The gRPC contract of Countermark, compiled for Rust: messages, clients and servers of package `auth.v1`. The feature
//! `envoy` adds the messages of Envoy's external authorization API.
//!
//! The contract for other languages is in the files `auth/v1/*.proto` beside this crate's manifest. The import root is
//! that folder.
//!
//! The code in `src/generated` is checked in, so a build of this crate needs no protobuf compiler. The test `generated`
//! generates it again and compares. `REGENERATE=1 cargo test --package countermark-proto` writes it.

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Package `auth.v1`.
#[rustfmt::skip]
pub mod auth_v1 {
    include!("generated/auth.v1.rs");
}

/// Package `envoy.service.auth.v3`: the part that forward-auth needs.
#[cfg(feature = "envoy")]
#[rustfmt::skip]
pub mod envoy_auth_v3 {
    include!("generated/envoy.service.auth.v3.rs");
}

/// The encoded `FileDescriptorSet` of package `auth.v1`, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/auth.v1.bin");
