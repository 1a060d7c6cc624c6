//! The trait for whatever holds a key set.

use std::{fmt::Debug, pin::Pin, sync::Arc};

use crate::verify::KeySet;

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
