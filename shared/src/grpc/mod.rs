//! The tonic side: who may call a service, by the same policy as over HTTP.
//!
//! - [`guard`] — a layer, and an interceptor, that lets a call through with a verified token, and hands the token to the handler
//! - [`refusal`] — why a call is turned away, and the one way from there to a status

pub mod guard;
pub mod refusal;

pub use guard::{Guard, Guarded, token, with_scope};
pub use refusal::Refusal;

#[cfg(test)]
mod tests;
