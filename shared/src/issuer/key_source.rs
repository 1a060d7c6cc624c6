//! [`KeySource`]: the trait for the owner of a key set.

use std::{fmt::Debug, pin::Pin, sync::Arc};

use crate::verify::KeySet;

/// Holds the key set that verifies tokens.
pub trait KeySource: Debug + Send + Sync + 'static {
    /// The key set at hand; `None` when none was ever fetched.
    fn held(&self) -> Option<Arc<KeySet>>;

    /// Fetches a newer key set, for a token whose key is not at hand; `None` when that is not possible now.
    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>>;

    /// Records that the issuer announced this version as the current one.
    fn announce(&self, version: &str) {
        let _ = version;
    }

    /// Fetches the key set of the announced version, unless it is at hand.
    fn fetch_version<'a>(&'a self, version: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let _ = version;
        Box::pin(std::future::ready(()))
    }
}
