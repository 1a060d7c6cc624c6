//! What a service's own tests need, and nothing else: tokens of every kind without a server, and an issuer in a box. Never
//! for production: whoever has the issuer makes any token.
//!
//! - [`TestIssuer`] — signs whatever a test asks for, and gives the guard that believes it
//! - [`TokenDraft`] — a token before it is signed: good unless the test says otherwise
//! - `ServedIssuer` — the same issuer on a port of its own: its keys over HTTP (features `jwks` and `http`), and with
//!   `watch` its revocations over gRPC

mod draft;
mod issuer;
#[cfg(all(feature = "jwks", feature = "http"))]
mod served;
#[cfg(all(feature = "watch", feature = "http"))]
mod stream;

pub use draft::TokenDraft;
pub use issuer::TestIssuer;
#[cfg(all(feature = "jwks", feature = "http"))]
pub use served::ServedIssuer;
