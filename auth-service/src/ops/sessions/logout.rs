//! Logout: a session is ended, and its access tokens with it.

use countermark::verify::Claims;

use crate::domain::{
    audit::Event,
    session::{Device, SessionId},
};
use crate::ops::{AuthService, Error, watch::barrier::Revoked};

impl AuthService {
    /// Ends the session that an access token is of. The token may have expired: it can only revoke. A session that is
    /// over already stays over.
    ///
    /// # Errors
    /// [`Error::NotAUser`] for a service token.
    pub async fn logout(&self, claims: &Claims, device: &Device) -> Result<Revoked, Error> {
        let session = Self::session_of(claims)?;
        self.end_session(session, Event::Logout, device).await
    }

    /// Ends the session that a refresh token is of; any generation of it will do.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`] when it is not a token of this issuer.
    pub async fn logout_with_refresh_token(&self, token: &str, device: &Device) -> Result<Revoked, Error> {
        let genuine = self.genuine(token)?;
        let Some(session) = self.store.session(genuine.session)? else { return self.revoked_so_far() };
        if !genuine.is_of(&session) {
            return Err(Error::InvalidGrant("not of the session's own secret"));
        }
        self.end_session(session.id, Event::Logout, device).await
    }

    /// Ends every session of the account that a live access token belongs to.
    ///
    /// # Errors
    /// [`Error::NotAUser`] for a service token; [`Error::AccountGone`] when the account is no more.
    pub async fn logout_all(&self, claims: &Claims, device: &Device) -> Result<Revoked, Error> {
        let account = self.me(claims)?;
        let mut entry = self.audit(Event::LogoutAll, device);
        entry.account = Some(account.id);
        let ended = self.store.end_sessions_of(account.id, None, self.clock.now(), entry).await?;
        self.applied(&ended)
    }

    pub(in crate::ops) async fn end_session(
        &self,
        id: SessionId,
        why: Event,
        device: &Device,
    ) -> Result<Revoked, Error> {
        let Some(session) = self.store.session(id)? else { return self.revoked_so_far() };
        let entry = self.audit_session(why, &session, device);
        let ended = self.store.end_session(id, self.clock.now(), entry).await?;
        // If it was over, then perhaps by a request that hung up before it could apply what it wrote.
        self.applied(ended.as_slice())
    }
}
