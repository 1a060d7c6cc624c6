//! OAuth: programs authenticate, get tokens of their own, and revoke them.
//!
//! - [`authenticate_client`] — a program proves which client it is (RFC 6749 §2.3)
//! - [`client_credentials`] — tokens for programs (RFC 6749 §4.4, RFC 8693)
//! - [`revoke`] — a client revokes its own token (RFC 7009)

pub mod authenticate_client;
pub mod client_credentials;
pub mod revoke;
