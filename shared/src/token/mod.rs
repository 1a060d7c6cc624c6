//! Access tokens (RFC 9068): what they claim, and whether they may be believed. Pure: no I/O, no async, and the time is
//! an argument.
//!
//! - [`claims`] — what a token says, each claim parsed into a type
//! - [`scope`] — scopes (RFC 6749 §3.3)
//! - [`signed`] — a token whose signature is proven, parsed
//! - [`verifier`] — bytes in, believed claims or the exact reason why not out
//! - [`cache`] — the same for tokens that were seen before, without proving the signature again
//! - [`error`] — those reasons
//! - [`requirement`] — what a route asks beyond a live token
//! - [`unverified`] — what a token says before anybody has proven it

pub mod cache;
pub mod claims;
pub mod error;
pub(crate) mod json;
pub mod requirement;
pub mod scope;
pub mod signed;
pub mod unverified;
pub mod verifier;

pub use cache::TokenCache;
pub use claims::{Audience, Audiences, Claims, Issuer, Opaque};
pub use error::{Part, TokenError};
pub use requirement::{Requirement, Unmet};
pub use scope::Scope;
pub use signed::Signed;
pub use verifier::{AcceptedAudiences, AnyAge, VerifiedToken, Verifier};

/// A longer token is refused before anything of it is decoded: 8 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a refresh token starts with, so that one that lost its way is told apart without being decoded.
pub const REFRESH_TOKEN_PREFIX: &str = "rt_";
