//! The OAuth endpoints: forms in, JSON out, errors as RFC 6749 §5.2 has them.
//!
//! - [`form`] — the body, read strictly
//! - [`client`] — how a client authenticates
//! - [`error`] — how these endpoints refuse
//! - `docs` — what their descriptions have in common
//! - [`token`], [`introspect`], [`revoke`] — one endpoint each

pub mod client;
mod docs;
pub mod error;
pub mod form;
pub mod introspect;
pub mod revoke;
pub mod token;
