//! Protect a Rust service with Countermark's access tokens: verified locally, with the issuer's published keys, and without a
//! call per request.
//!
//! A whole service:
//!
//! ```no_run
//! # #[cfg(all(feature = "http", feature = "jwks"))]
//! # mod service {
//! use axum::{Router, routing::get};
//! use countermark::http::{AccessToken, ClosedRouter, Guard};
//!
//! async fn hello(token: AccessToken) -> String {
//!     format!("Hello {}", token.sub)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let guard = Guard::for_issuer("http://localhost:8080", "my-service")?;
//!     let app = ClosedRouter::new(guard.clone())
//!         .route("/hello", get(hello))
//!         .public_route("/health", get(async || "ok"))
//!         .into_router()
//!         .with_state(guard);
//!     Ok(axum::serve(tokio::net::TcpListener::bind("localhost:3000").await?, app).await?)
//! }
//! # }
//! ```
//!
//! The argument is the protection: [`AccessToken`](http::AccessToken) for any live token, `Option<AccessToken>` where it may
//! be absent, [`Scoped`](http::Scoped), [`WithRole`](http::WithRole), [`FreshToken`](http::FreshToken),
//! [`MaxAge`](http::MaxAge), [`CurrentUser`](http::CurrentUser). [`ClosedRouter`](http::ClosedRouter) closes routes whose
//! argument was forgotten, and [`RequireToken`](http::RequireToken) is the same as a layer.
//!
//! Tests of such a service need no issuer and no network:
//!
//! ```
//! # #[cfg(all(feature = "http", feature = "test-util"))] {
//! use countermark::testing::TestIssuer;
//!
//! let issuer = TestIssuer::new();
//! let guard = issuer.guard();                                   // the router's state
//! let good = issuer.token("alice").scope("documents:read").sign();
//! let late = issuer.token("alice").expired().sign();
//! # }
//! ```
//!
//! # What it costs
//!
//! A token that was seen before is judged without an allocation, and one new from a login with at most 24: one for each text in
//! it, and its place among those that are remembered. It is 3,000 at most for whatever an issuer puts into 8 KiB, and 4 for what
//! nobody signed. An extractor adds one, the token's text; a layer adds 8. The tests in `tests/protect/allocations.rs` hold it to
//! that, and the bench `verify` prints it, beside what judging takes of a bare RSA verification.
//!
//! # Features
//!
//! | feature | gives | needs |
//! |---|---|---|
//! | `http` (default) | [`http`]: extractors and layers for axum | axum |
//! | `jwks` (default) | `jwks::JwksClient`: the issuer's keys, fetched, kept and cooled down | a tokio runtime, reqwest |
//! | `watch` | `revocation::Follower`: revocations as they happen, over one stream | a tokio runtime, tonic |
//! | `grpc` | `grpc`: the same policy for tonic servers | tonic |
//! | `introspection` | `introspection`: asks the issuer about a token, over gRPC | a tokio runtime, tonic |
//! | `service-token` | `service_token`: a program's own token, renewed in time | a tokio runtime, reqwest |
//! | `forward-auth` | `forward_auth`: answers nginx, Traefik, Caddy and HAProxy before they pass a request on | axum |
//! | `ext-authz` | the same for Envoy, over gRPC | axum, tonic |
//! | `wire` | claims and revocations as they cross the wire | prost |
//! | `test-util` | `testing`, a manual clock, a seeded randomness: for tests alone | |
//!
//! Without features there is [`verify`]: pure, with neither a runtime nor a web framework.
//!
//! Coming from Python: [`guide`] maps each name of Flask-JWT-Extended to what does the same here.
//!
//! # Rust versions and platforms
//!
//! The crate builds with Rust 1.95 and every later release. Only a new minor version of the crate may raise that number, and only
//! to a release of Rust that is at least three months old. The change log names the raise.
//!
//! The crate runs on Linux. The checks run on x86-64 with glibc. It does not build for macOS and Windows: it counts spans with
//! Linux's `CLOCK_BOOTTIME`, which goes on while the machine sleeps.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::missing_errors_doc)]

pub mod clock;
#[cfg(test)]
mod forge;
#[cfg(feature = "forward-auth")]
pub mod forward_auth;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
pub mod issuer;
pub mod random;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod verify;

/// The example of the README, built with the documentation's other examples.
#[cfg(all(doctest, feature = "http", feature = "jwks"))]
#[doc = include_str!("../README.md")]
mod readme {}
