//! Countermark's issuer: accounts, sessions, RS256 access tokens, the JWKS, introspection.
//!
//! A request travels one way: bytes → an interface ([`http`], [`grpc`], [`cli`]) parses them → one call on the operations
//! ([`ops`]) → [`domain`] decides, [`store`] stores, [`keys`] sign → the same interface maps the answer → bytes.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod feed;
pub mod grpc;
pub mod http;
pub mod keys;
pub mod metrics;
pub mod ops;
pub mod store;
