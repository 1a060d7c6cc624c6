//! The one place that ends a session. Logout, logout from all sessions, a spent refresh token, a changed password, a
//! disabled or deleted account and an operator come through here. Each end is stored with its audit entry, and its
//! revocation is in force in this process when the call returns.

use super::Sessions;
use crate::{
    domain::{account::AccountId, audit::AuditEntry, session::SessionId},
    ops::{Context, Fault, watch::barrier::Revoked},
    store::accounts::AccountChange,
};

/// What came of ending a session.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Whether it was live until now.
    pub was_live: bool,
    /// What has to reach every verifier.
    pub revoked: Revoked,
}

impl Sessions {
    /// Ends one session, and its access tokens. A session that is over stays over.
    pub(in crate::ops) async fn end(&self, id: SessionId, why: AuditEntry) -> Result<Ended, Fault> {
        let entry = self.context.store.end_session(id, self.context.clock.now(), why).await?;
        // A session that was over may have been ended by a request that hung up before it could apply its entry.
        let revoked = self.context.applied(entry.as_slice())?;
        Ok(Ended { was_live: entry.is_some(), revoked })
    }

    /// Ends the sessions of an account but for `spared`, and their access tokens, in one transaction with a change of the
    /// account, if there is one.
    pub(in crate::ops) async fn end_all(
        &self,
        account: AccountId,
        spared: Option<SessionId>,
        change: Option<AccountChange>,
        why: AuditEntry,
    ) -> Result<Revoked, Fault> {
        let Context { store, clock, .. } = &self.context;
        let ended = store.end_sessions_of(account, spared, change, clock.now(), why).await?;
        Ok(self.context.applied(&ended)?)
    }
}
