//! The one place that ends a session. Logout, logout from all sessions, a spent refresh token, a changed password, a
//! disabled or deleted account and an operator come through here. Each end is stored with its audit entry, and its
//! revocation is in force in this process when the call returns.

use super::Sessions;
use crate::{
    domain::{account::AccountId, audit::AuditEntry, session::SessionId},
    ops::{Context, Fault, watch::barrier::Revoked},
    store::end_sessions::AccountChange,
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
        let account = why.account;
        let Some(entry) = self.context.store.end_session(id, self.context.clock.now(), why).await? else {
            // It may have been ended by a request that hung up before it could apply its entry.
            return Ok(Ended { was_live: false, revoked: self.ended_before(id)? });
        };
        let revoked = self.context.applied(&[entry])?.of(account);
        Ok(Ended { was_live: true, revoked })
    }

    /// What had to reach every verifier when that session ended.
    pub(in crate::ops) fn ended_before(&self, id: SessionId) -> Result<Revoked, Fault> {
        Ok(match self.context.store.session(id)? {
            Some(session) => self.context.ended_by(&session)?,
            None => self.context.revoked_so_far()?,
        })
    }

    /// Ends all sessions of an account, and revokes its access tokens, in one transaction with a change of the account, if
    /// there is one.
    pub(in crate::ops) async fn end_all(
        &self,
        account: AccountId,
        change: Option<AccountChange>,
        why: AuditEntry,
    ) -> Result<Revoked, Fault> {
        let Context { store, clock, .. } = &self.context;
        let ended =
            store.end_sessions_of(account, change, self.context.clock_doubt(), clock.now(), why).await?;
        Ok(self.context.applied(&ended)?.of(Some(account)))
    }
}
