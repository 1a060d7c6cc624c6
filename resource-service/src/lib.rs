//! Countermark's resource server: every route judges access tokens by itself, with the issuer's published keys, and asks
//! the issuer about none, unless told to when it may have missed its revocation.
//!
//! | room | holds |
//! |---|---|
//! | [`app`] | the composition root: wires the rooms, binds the ports, runs, drains |
//! | [`config`] | every setting, parsed before anything is bound |
//! | [`cli`] | the command line: serve, or `healthcheck` |
//! | [`documents`] | the guarded thing: its rules and its tables |
//! | [`issuer`] | the way to the issuer, over HTTP and over gRPC |
//! | [`verifying`] | what tokens are judged by: keys, revocations, and how current they are |
//! | [`http`] | the door: the route table, one file per group of endpoints |

pub mod app;
pub mod cli;
pub mod config;
pub mod documents;
pub mod http;
pub mod issuer;
pub mod verifying;
