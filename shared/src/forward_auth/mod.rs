//! Forward-auth: a proxy asks before it passes a request on, and gets yes with the caller's identity, or a refusal to hand
//! back. So services in any language are protected by the proxy in front of them.
//!
//! - [`door`] — the route for nginx `auth_request`, Traefik and Caddy `forward_auth`, and HAProxy
//! - [`ext_authz`] — the same for Envoy, over gRPC (feature `ext-authz`)
//! - [`gate`] — judges an original request; both doors ask it
//! - [`rules`] — which path asks what of a token: the first rule that matches, and nothing without one
//! - [`path`] — the path of an original request, read in one way or refused
//! - [`demand`] — what is asked of a token, in a rule or in the proxy's own configuration
//! - [`identity`] — who the caller is, in headers for the service behind the proxy
//!
//! The proxy has to take inbound copies of the identity headers away, and to name method and target of the original
//! request; `examples/forward-auth` shows how each of them does.
//!
//! ```
//! use axum::Router;
//! use countermark::{
//!     forward_auth::{ForwardAuth, InvalidRules, Rules, door},
//!     http::Guard,
//! };
//!
//! fn router(guard: Guard, rules: &str) -> Result<Router, InvalidRules> {
//!     let gate = ForwardAuth::new(guard)
//!         .with_rules(Rules::from_toml(rules)?)
//!         .trusting(|address| address.is_loopback());
//!     Ok(door::router(gate))
//! }
//! ```
//!
//! Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: without it nobody is trusted.

pub mod demand;
#[cfg(feature = "ext-authz")]
pub mod ext_authz;
pub mod gate;
pub mod http;
pub mod identity;
pub mod path;
pub mod rules;

pub use demand::{Demand, InvalidDemand};
pub use gate::{ForwardAuth, Original};
pub use identity::Identity;
pub use path::{OriginalPath, PathError};
pub use rules::{InvalidRules, Rules};
