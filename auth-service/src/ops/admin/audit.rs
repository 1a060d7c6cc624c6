//! The audit table, as an operator reads it.

use crate::{
    domain::audit::{AuditFilter, ListedEntry},
    ops::{AuthService, Fault},
};

impl AuthService {
    /// At most `limit` entries that fit `filter`, oldest first, after the entry with that id.
    pub fn audit_after(&self, filter: &AuditFilter, id: i64, limit: u32) -> Result<Vec<ListedEntry>, Fault> {
        Ok(self.context.store.audit_after(filter, id, limit)?)
    }

    /// The id after which the newest `count` entries that fit `filter` begin.
    pub fn audit_before_newest(&self, filter: &AuditFilter, count: u32) -> Result<i64, Fault> {
        Ok(self.context.store.audit_before_newest(filter, count)?)
    }
}
