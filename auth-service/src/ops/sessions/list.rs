//! An account's own sessions: listed, and ended one by one.

use countermark::{clock::Timestamp, verify::Claims};

use super::{Sessions, me::AccountError};
use crate::{
    domain::{
        audit::Event,
        session::{Device, SessionId},
        session_place::SessionPlace,
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

/// Some of an account's sessions.
#[derive(Clone, Debug)]
pub struct Page {
    /// The sessions that go on, oldest first.
    pub sessions: Vec<OwnSession>,
    /// The place after which the next page begins. `None` at the end.
    pub next: Option<SessionPlace>,
}

impl Sessions {
    /// The live sessions of the account of a live access token, oldest first: at most `limit`, after the place `after`.
    pub fn list(
        &self,
        claims: &Claims,
        after: Option<SessionPlace>,
        limit: u32,
    ) -> Result<Page, AccountError> {
        let account = self.me(claims)?;
        let current = Self::session_of(claims)?;
        let (sessions, last) = self.context.store.sessions_after(account.id, after, limit)?;
        let is_full = u32::try_from(sessions.len()).is_ok_and(|count| count == limit);
        let next = last.filter(|_| is_full);
        let now = self.context.clock.now();
        let lifetimes = &self.context.policy.lifetimes;
        let live = sessions.into_iter().filter(|session| session.is_live(now, lifetimes));
        let own = live.map(|session| OwnSession {
            id: session.id,
            is_current: session.id == current,
            device: session.device,
            created_at: session.created_at,
            last_used_at: session.rotated_at,
        });
        Ok(Page { sessions: own.collect(), next })
    }

    /// Ends one of them. `None` when the account has no such live session.
    pub async fn end_own(
        &self,
        claims: &Claims,
        id: SessionId,
        device: &Device,
    ) -> Result<Option<Revoked>, AccountError> {
        let account = self.me(claims)?;
        let now = self.context.clock.now();
        let lifetimes = &self.context.policy.lifetimes;
        let session = self.context.store.session(id)?;
        let own = session.filter(|session| session.account == account.id && session.is_live(now, lifetimes));
        let Some(session) = own else { return Ok(None) };
        let why = self.context.audit_session(Event::Logout, &session, device);
        Ok(Some(self.end(id, why).await?.revoked))
    }
}
