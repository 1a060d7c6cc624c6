//! Countermark's example of a protected service. Every route verifies access tokens locally, with the issuer's
//! published keys. It calls the issuer about a token only if its stale policy is `introspect` and its revocations may
//! be out of date.
//!
//! | module | holds |
//! |---|---|
//! | [`app`] | the composition root: connects the modules, binds the ports, runs, drains |
//! | [`config`] | all settings, parsed before a port is bound |
//! | [`cli`] | the command line: serve, or `healthcheck` |
//! | [`documents`] | the protected resource: its rules and its tables |
//! | [`issuer`] | connections to the issuer, over HTTP and gRPC |
//! | [`verifying`] | the state of the verifier: keys, revocations and their freshness |
//! | [`http`] | the HTTP interface: the route table, and one file for each group of endpoints |

pub mod app;
pub mod cli;
pub mod config;
pub mod documents;
pub mod http;
pub mod issuer;
pub mod verifying;
