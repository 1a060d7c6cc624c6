//! The registry in memory, kept current with what others write: a request asks it without touching the database.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;

use crate::{
    domain::registry::Registry,
    store::{Store, StoreError},
};

/// The registry, as this process knows it. Clones share it.
#[derive(Clone, Debug)]
pub struct RegistryFeed {
    store: Store,
    held: Arc<ArcSwap<Registry>>,
    /// How often it had been changed when it was read.
    version: Arc<AtomicI64>,
    /// So that an older reading can't replace a newer one.
    reading: Arc<Mutex<()>>,
}

impl RegistryFeed {
    /// All of it, read.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
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

    /// The registry of now.
    #[must_use]
    pub fn now(&self) -> Arc<Registry> {
        self.held.load_full()
    }

    /// Reads it again if it was changed since, by whomever.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        let version = self.store.registry_version()?;
        if version == self.version.load(Ordering::Acquire) {
            return Ok(());
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // The number is read before the rows: rows that are newer than it are read once more, and nothing is missed.
        let version = self.store.registry_version()?;
        self.held.store(Arc::new(self.store.registry()?));
        self.version.store(version, Ordering::Release);
        Ok(())
    }
}
