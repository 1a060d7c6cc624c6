//! The audit table, as an operator reads it.

use crate::{
    domain::audit::ListedEntry,
    ops::{AuthService, Fault},
};

impl AuthService {
    /// At most `limit` entries, oldest first, after the entry with that id.
    pub fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<ListedEntry>, Fault> {
        Ok(self.context.store.audit_after(id, limit)?)
    }
}
