//! Tools for a service's own tests: tokens of every kind without a server, and an issuer inside the process. Never use
//! it in production: everyone who has this issuer can make any token.
//!
//! - [`TestIssuer`] — signs any token that a test asks for, and makes a guard that accepts it
//! - [`TokenDraft`] — a token before it is signed; valid unless the test changes it
//! - `ServedIssuer` — the same issuer on a port of its own: its keys over HTTP (features `jwks` and `http`), and with
//!   `watch` its revocations over gRPC

mod draft;
mod issuer;
#[cfg(all(feature = "watch", feature = "http"))]
mod log;
#[cfg(all(feature = "jwks", feature = "http"))]
mod served;
#[cfg(all(feature = "watch", feature = "http"))]
mod stream;

pub use draft::TokenDraft;
pub use issuer::TestIssuer;
#[cfg(all(feature = "jwks", feature = "http"))]
pub use served::ServedIssuer;
