//! Forward-auth: a proxy asks before it forwards a request. The answer is yes with the caller's identity, or a refusal
//! that the proxy returns to the client. The proxy so protects services in any language.
//!
//! - [`http`] — the route for nginx `auth_request`, Traefik and Caddy `forward_auth`, and HAProxy
//! - [`ext_authz`] — the same for Envoy over gRPC (feature `ext-authz`)
//! - `gate` — the decision about an original request; both interfaces use it
//! - `rules` — the requirements for each path: the first matching rule decides, and a path without a rule is refused
//! - `pattern` — the paths that a rule is for
//! - `path`, `path_error` — the path of an original request; a path that servers read differently is refused
//! - `spelling` — spellings of a segment that file systems and frameworks take for the same
//! - `methods`, `other_path` — the methods by which a service may act on a request, and another path that it may act on
//! - `demand` — the requirements on a token, in a rule or in the proxy's own configuration
//! - `identity` — the caller's identity, in headers for the service behind the proxy
//! - `alias` — other spellings of these headers
//!
//! The proxy must remove identity headers that the client sent. It must also name the method and target of the original
//! request. `examples/forward-auth` shows the configuration of each proxy.
//!
//! ```
//! use axum::Router;
//! use countermark::{
//!     forward_auth::{ForwardAuth, InvalidRules, Rules, http},
//!     http::Guard,
//! };
//!
//! fn router(guard: Guard, rules: &str) -> Result<Router, InvalidRules> {
//!     let gate = ForwardAuth::new(guard)
//!         .with_rules(Rules::from_toml(rules)?)
//!         .trusting(|address| address.is_loopback());
//!     Ok(http::router(gate))
//! }
//! ```
//!
//! Serve it with `into_make_service_with_connect_info::<SocketAddr>()`. Otherwise the peer's address is unknown and no
//! proxy is trusted.

mod alias;
mod demand;
#[cfg(feature = "ext-authz")]
pub mod ext_authz;
mod gate;
pub mod http;
mod identity;
mod methods;
mod other_path;
mod path;
mod path_error;
mod pattern;
mod rules;
mod spelling;

pub use demand::{Demand, InvalidDemand};
pub use gate::{ForwardAuth, Original};
pub use identity::{HEADERS, Identity};
pub use path::OriginalPath;
pub use path_error::PathError;
pub use rules::{Admission, InvalidRules, Rules, Undecided};
