//! What is written into the audit table, and how.

use crate::domain::{
    audit::{AuditEntry, Event, ListedEntry},
    session::{Device, Session},
};
use crate::ops::{AuthService, Error};

impl AuthService {
    /// An entry about nobody in particular yet.
    pub(in crate::ops) fn audit(&self, event: Event, device: &Device) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            event,
            account: None,
            session: None,
            client: None,
            device: device.clone(),
            detail: None,
        }
    }

    /// Entries after the one with that id, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<ListedEntry>, Error> {
        Ok(self.store.audit_after(id, limit)?)
    }

    /// An entry about a session.
    pub(in crate::ops) fn audit_session(
        &self,
        event: Event,
        session: &Session,
        device: &Device,
    ) -> AuditEntry {
        AuditEntry {
            account: Some(session.account),
            session: Some(session.id),
            client: Some(session.client.clone()),
            ..self.audit(event, device)
        }
    }
}
