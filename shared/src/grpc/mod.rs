//! The tonic side: who may call a service, by the same policy as over HTTP.
//!
//! - [`guard`] — a layer, and an interceptor, that lets a call through with a verified token, and hands the token to the handler
//! - `status` — the status for each reason to refuse a caller

#[cfg(feature = "jwks")]
mod for_issuer;
mod guard;
mod status;

pub use guard::{Guard, Guarded, token, with_scope};

#[cfg(test)]
mod tests;
