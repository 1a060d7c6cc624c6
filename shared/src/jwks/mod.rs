//! The issuer's published keys (RFC 7517).
//!
//! - [`KeySet`] — the keys that tokens are verified with, parsed once; pure
//! - [`KeySource`] — whoever holds a key set, and may be able to get a newer one
//! - [`Judge`] — has tokens verified with the keys at hand, or with newer ones
//! - [`Staleness`] — what it does with good tokens when revocations may have been missed
//! - `JwksClient`: fetches a key set, keeps the last good one, and leaves the issuer alone (feature `jwks`)

use std::{fmt::Debug, pin::Pin, sync::Arc};

#[cfg(feature = "jwks")]
mod client;
mod judge;
#[cfg(any(feature = "http", feature = "grpc"))]
mod judges;
mod key_set;
mod staleness;

#[cfg(feature = "jwks")]
pub use client::{ClientError, FetchError, JwksClient};
pub use judge::{Judge, Refused};
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) use judges::Judges;
pub use key_set::{InvalidKeySet, KeySet, PublicKey};
pub use staleness::{LiveAnswer, Staleness};

/// Whoever holds the key set that tokens are verified with.
pub trait KeySource: Debug + Send + Sync + 'static {
    /// The key set at hand; `None` when there never was one.
    fn held(&self) -> Option<Arc<KeySet>>;

    /// A newer key set, for a token whose key is not in the one at hand; `None` when none can be had now.
    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>>;

    /// Takes note that the issuer says that the key set of that version is current.
    fn announce(&self, version: &str) {
        let _ = version;
    }

    /// Gets the key set of that version, which the issuer says is current, unless it is at hand.
    fn bring<'a>(&'a self, version: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let _ = version;
        Box::pin(std::future::ready(()))
    }
}
