//! The HTTP interface. A handler parses the request, makes one call, and maps the result.
//!
//! - [`routes`] — the list of routes, with the scope or the role that each needs
//! - `protected`, `optional`, `fresh`, `expired`, `claims`, `admin`, `documents` — the endpoints
//! - `docs`, `describe_documents` — their descriptions

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

pub use routes::{HttpState, router, uncached};

use countermark::verify::Claims;
use serde::Serialize;

/// Maximum size of a request body: 64 KiB. A document of 10,000 bytes is up to 60,000 bytes of JSON, because many clients
/// escape all characters outside ASCII.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The subject of a token: the address of a user, or the client id of a service.
#[derive(Debug, Serialize)]
struct LoggedIn<'c> {
    logged_in_as: &'c str,
}

impl<'c> LoggedIn<'c> {
    fn by(claims: &'c Claims) -> Self {
        Self { logged_in_as: claims.email.as_deref().unwrap_or(claims.sub.as_str()) }
    }
}
