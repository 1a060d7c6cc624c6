//! An account's own sessions: listed, and ended one by one.

use countermark::{clock::Timestamp, verify::Claims};

use super::{Sessions, me::AccountError};
use crate::{
    domain::{
        audit::Event,
        session::{Device, SessionId},
    },
    ops::watch::barrier::Revoked,
};

/// A session, as its account sees it.
#[derive(Clone, Debug)]
pub struct OwnSession {
    /// Its id.
    pub id: SessionId,
    /// The device that used it last.
    pub device: Device,
    /// The instant of the login.
    pub created_at: Timestamp,
    /// The instant of the last refresh, or of the login.
    pub last_used_at: Timestamp,
    /// Whether it is the session of the request.
    pub is_current: bool,
}

impl Sessions {
    /// The live sessions of the account of a live access token, oldest first.
    pub fn list(&self, claims: &Claims) -> Result<Vec<OwnSession>, AccountError> {
        let account = self.me(claims)?;
        let current = Self::session_of(claims)?;
        let now = self.context.clock.now();
        let lifetimes = &self.context.policy.lifetimes;
        let sessions = self.context.store.sessions_of(account.id)?;
        let live = sessions.into_iter().filter(|session| session.is_live(now, lifetimes));
        let own = live.map(|session| OwnSession {
            id: session.id,
            is_current: session.id == current,
            device: session.device,
            created_at: session.created_at,
            last_used_at: session.rotated_at,
        });
        Ok(own.collect())
    }

    /// Ends one of them. `None` when the account has no such live session.
    pub async fn end_own(
        &self,
        claims: &Claims,
        id: SessionId,
        device: &Device,
    ) -> Result<Option<Revoked>, AccountError> {
        if !self.list(claims)?.iter().any(|session| session.id == id) {
            return Ok(None);
        }
        let Some(session) = self.context.store.session(id)? else { return Ok(None) };
        let why = self.context.audit_session(Event::Logout, &session, device);
        Ok(Some(self.end(id, why).await?.revoked))
    }
}
