//! The door: bytes become typed input, one call behind it, and typed results become bytes again.
//!
//! - [`routes`] — the route table, with the scope and the role that each route asks
//! - `protected`, `optional`, `fresh`, `expired`, `claims`, `admin`, `documents` — the endpoints

mod admin;
mod claims;
mod describe_documents;
mod docs;
mod documents;
mod expired;
mod fresh;
mod optional;
mod protected;
pub mod routes;

pub use routes::{HttpState, router};

use countermark::verify::Claims;
use serde::Serialize;

/// The largest body of a request: 64 KiB. A document of 10,000 bytes is up to 60,000 bytes of JSON, for many clients escape
/// everything beyond ASCII.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Whose token a request came with: the address of a user, the client id of a service.
#[derive(Debug, Serialize)]
struct LoggedIn<'c> {
    logged_in_as: &'c str,
}

impl<'c> LoggedIn<'c> {
    fn by(claims: &'c Claims) -> Self {
        Self { logged_in_as: claims.email.as_deref().unwrap_or(claims.sub.as_str()) }
    }
}
