//! The registry in memory. It follows all changes in the database, so that requests read it without a query.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;

use crate::{
    domain::registry::Registry,
    store::{Store, StoreError},
};

/// The registry as this process has read it. Clones share it.
#[derive(Clone, Debug)]
pub struct RegistryFeed {
    store: Store,
    held: Arc<ArcSwap<Registry>>,
    /// The number of changes that `held` includes.
    version: Arc<AtomicI64>,
    /// Held while the registry is read, so that an older read can't replace a newer one.
    reading: Arc<Mutex<()>>,
}

impl RegistryFeed {
    /// Reads the whole registry.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let feed = Self {
            store,
            held: Arc::default(),
            version: Arc::new(AtomicI64::new(-1)),
            reading: Arc::default(),
        };
        feed.catch_up()?;
        Ok(feed)
    }

    /// The current registry.
    #[must_use]
    pub fn now(&self) -> Arc<Registry> {
        self.held.load_full()
    }

    /// Reads the registry again if any process has changed it.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        let version = self.store.registry_version()?;
        if version == self.version.load(Ordering::Acquire) {
            return Ok(());
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // The version is read before the rows. If the rows are newer than the version, the next call reads them
        // again, so no change is missed.
        let version = self.store.registry_version()?;
        self.held.store(Arc::new(self.store.registry()?));
        self.version.store(version, Ordering::Release);
        Ok(())
    }
}
