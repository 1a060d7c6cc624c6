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
//! To refuse revoked tokens at once, follow the issuer (feature `watch`):
//!
//! ```no_run
//! # #[cfg(all(feature = "http", feature = "watch"))]
//! # fn guard(secret: zeroize::Zeroizing<String>, stop: impl Future<Output = ()> + Send + 'static)
//! # -> Result<countermark::http::Guard, Box<dyn std::error::Error>> {
//! use countermark::{http::Guard, issuer::{FollowedIssuer, introspection::IntrospectionConfig}};
//!
//! let issuer = FollowedIssuer::builder("http://localhost:8080", "my-service")
//!     .with_stream(IntrospectionConfig::new("http://localhost:50051", "my-client", secret))
//!     .build()?;
//! let guard = Guard::following(issuer, stop);
//! # Ok(guard)
//! # }
//! ```
//!
//! # Who decides
//!
//! - [`verify::Verifier`] holds the rules: issuer, audiences, leeway. It is pure: keys, revocations and the time are arguments.
//! - [`issuer::TrustedIssuer`] is a verifier with everything that it needs: keys, revocations, a cache, a clock, a stale policy.
//! - `issuer::FollowedIssuer` makes a trusted issuer and keeps it current.
//! - `http::Guard` and `grpc::Guard` hold one or more trusted issuers, and add what is theirs.
//!
//! [`verify::TokenError`] is the exact reason why a token is not accepted. [`verify::AuthError`] is why an interface refuses a
//! caller. It is mapped once to HTTP and once to gRPC.
//!
//! # What it costs
//!
//! Verifying a token that was seen before allocates nothing. A new token from a login needs at most 24 allocations: one for each
//! text in it, and one for its place in the cache. The largest token that an issuer can sign needs at most 3,000, and a forged
//! token at most 4. An extractor adds one, the token's text. A layer adds 8. The tests in `tests/protect/allocations.rs` check
//! these numbers. The bench `verify` prints them, and the time of each step beside that of a bare RSA verification.
//!
//! # Features
//!
//! | feature | gives | needs |
//! |---|---|---|
//! | `http` (default) | [`http`]: extractors and layers for axum | axum |
//! | `jwks` (default) | `issuer::FollowedIssuer`: the issuer's keys, fetched and kept current | a tokio runtime, reqwest |
//! | `watch` | the stream of a `FollowedIssuer`: revocations as they happen | a tokio runtime, tonic |
//! | `grpc` | `grpc`: the same guard for tonic servers | tonic |
//! | `introspection` | `issuer::introspection`: asks the issuer about a token, over gRPC | a tokio runtime, tonic |
//! | `service-token` | `issuer::service_token`: a program's own token, renewed in time | a tokio runtime, reqwest |
//! | `forward-auth` | `forward_auth`: answers nginx, Traefik, Caddy and HAProxy before they forward a request | axum |
//! | `ext-authz` | the same for Envoy, over gRPC | axum, tonic |
//! | `wire` | `issuer::wire`: claims and revocations as protobuf messages | prost |
//! | `test-util` | `testing`, a manual clock, seeded randomness: for tests only | |
//!
//! Without features there are [`verify`] and [`issuer::TrustedIssuer`], with neither a runtime nor a web framework.
//!
//! # Public dependencies
//!
//! Types of these crates are part of this crate's interface. A new major version of one of them is a breaking change here.
//!
//! - `serde`, `serde_json` and `zeroize`: claims, and secrets that are handed in
//! - `axum` with `http` and `tower`, under the features `http` and `forward-auth`
//! - `tonic` with `http` and `tower`, under the features `grpc`, `introspection`, `watch` and `ext-authz`
//! - `reqwest`, under the features `jwks` and `service-token`
//! - `countermark-proto`, under the features `wire` and `ext-authz`; it has the same version as this crate
//!
//! No other dependency is part of the interface.
//!
//! Coming from Python: [`guide`] maps each name of Flask-JWT-Extended to its counterpart here.
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
#![warn(unnameable_types)]

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
mod sentence;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod verify;

/// The example of the README, built with the documentation's other examples.
#[cfg(all(doctest, feature = "http", feature = "jwks"))]
#[doc = include_str!("../README.md")]
mod readme {}
