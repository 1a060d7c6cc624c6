//! An account's own sessions: seen, and ended one by one.

use countermark::{clock::Timestamp, verify::Claims};

use crate::domain::{
    audit::Event,
    session::{Device, SessionId},
};
use crate::ops::{AuthService, Error, watch::barrier::Revoked};

/// A session, as its account sees it.
#[derive(Clone, Debug)]
pub struct OwnSession {
    /// Its id.
    pub id: SessionId,
    /// Where it was last used from.
    pub device: Device,
    /// When the login was.
    pub created_at: Timestamp,
    /// When it was last refreshed, or the login.
    pub last_used_at: Timestamp,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

impl AuthService {
    /// The live sessions of the account that a live access token belongs to, oldest first.
    ///
    /// # Errors
    /// [`Error::NotAUser`] for a service token; [`Error::AccountGone`] when the account is no more.
    pub fn sessions(&self, claims: &Claims) -> Result<Vec<OwnSession>, Error> {
        let account = self.me(claims)?;
        let current = Self::session_of(claims)?;
        let now = self.clock.now();
        let sessions = self.store.sessions_of(account.id)?;
        let live = sessions.into_iter().filter(|session| session.is_live(now, &self.policy.lifetimes));
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
    ///
    /// # Errors
    /// As [`sessions`](Self::sessions).
    pub async fn end_own_session(
        &self,
        claims: &Claims,
        id: SessionId,
        device: &Device,
    ) -> Result<Option<Revoked>, Error> {
        let is_own = self.sessions(claims)?.iter().any(|session| session.id == id);
        if is_own { self.end_session(id, Event::Logout, device).await.map(Some) } else { Ok(None) }
    }
}
