//! Verifies access tokens (RFC 9068). Everything here is pure: no I/O, no async, and the time is an argument.
//!
//! | file | holds |
//! |---|---|
//! | `verifier` | bytes in; a verified token or the exact error out |
//! | `cache` | the same for tokens that were seen before, without a second proof of the signature |
//! | `claims`, `scope` | the content of a token, each claim parsed into a type |
//! | `signed` | a token whose signature is proven |
//! | `unverified` | the content of a token before its signature is proven |
//! | `requirement` | what a route asks beyond a live token |
//! | `key_set`, `kid` | the issuer's published keys (RFC 7517), parsed once, and their names |
//! | `revocation`, `revocation_set` | entries of the issuer's revocation log, and the set of those in force |
//! | `position` | positions in the revocation log: its id, and sequence numbers |
//! | `freshness` | how current the revocations are |
//! | `stale_policy` | what happens to good tokens when the revocations are not current |
//! | `error` | `TokenError`: exactly why a token is not accepted |
//! | `auth_error` | `AuthError`: why an interface refuses a caller |
//! | `location` | the places of a request that can hold a token |

mod auth_error;
mod cache;
mod claims;
mod epoch;
mod error;
mod fingerprint;
mod freshness;
pub(crate) mod json;
mod key_set;
mod kid;
pub(crate) mod location;
mod position;
mod requirement;
pub(crate) mod revocation;
pub(crate) mod revocation_set;
mod scope;
mod signed;
mod stale_policy;
pub(crate) mod sync;
#[cfg(any(test, feature = "http", feature = "grpc"))]
pub(crate) mod unverified;
mod verifier;

pub use auth_error::AuthError;
pub use cache::TokenCache;
pub use claims::{Audience, Audiences, Claims, InvalidOpaque, Issuer, NumericDate, Opaque};
pub use error::{Part, TokenError};
pub(crate) use fingerprint::Subjects;
pub use freshness::{Freshness, SILENCE};
pub use key_set::{InvalidKeySet, KeySet, PublicKey};
pub use kid::Kid;
pub use position::{InvalidLogId, InvalidTag, LogId, Position, ProvenPosition, Seq, Tag};
pub use requirement::Requirement;
pub use revocation::{Entry, Revocation};
#[cfg(feature = "wire")]
pub(crate) use revocation_set::fingerprint_of;
pub use revocation_set::{RevocationSet, Revocations};
pub use scope::{InvalidScope, Scope};
pub use signed::Signed;
pub use stale_policy::{StalePolicy, UnknownStalePolicy};
pub use verifier::{AcceptedAudiences, AnyAge, VerifiedToken, Verifier};

/// Largest size of a token: 8 KiB. A longer token is refused before any of it is decoded.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Prefix of every refresh token. A refresh token sent in place of an access token is recognised by it, without
/// decoding.
pub const REFRESH_TOKEN_PREFIX: &str = "rt_";
