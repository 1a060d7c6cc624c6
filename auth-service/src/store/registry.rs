//! Loads all audiences and clients at once.

use super::{Store, StoreError, audiences, clients};
use crate::domain::registry::Registry;

impl Store {
    /// All audiences and clients.
    pub fn registry(&self) -> Result<Registry, StoreError> {
        self.database
            .read(|connection| Ok(Registry::new(audiences::all(connection)?, clients::all(connection)?)))
    }
}
