//! Logout: a session is ended, and its access tokens with it.

use countermark::verify::Claims;

use super::{Sessions, me::AccountError};
use crate::{
    domain::{audit::Event, client::ClientId, session::Device},
    ops::{
        error::{Fault, InvalidGrant, has_faults},
        watch::barrier::Revoked,
    },
};

/// A logout with a refresh token is refused.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// It is not a token of this issuer.
    #[error(transparent)]
    InvalidGrant(#[from] InvalidGrant),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(LogoutError);

impl Sessions {
    /// Ends the session of an access token. The token may have expired: it can only revoke. A session that is over stays
    /// over.
    pub async fn logout(&self, claims: &Claims, device: &Device) -> Result<Revoked, AccountError> {
        let id = Self::session_of(claims)?;
        let Some(session) = self.context.store.session(id)? else {
            return Ok(self.context.revoked_so_far()?);
        };
        let why = self.context.audit_session(Event::Logout, &session, device);
        Ok(self.end(id, why).await?.revoked)
    }

    /// Ends the session of a refresh token. Any generation of the token will do.
    ///
    /// # Errors
    /// [`LogoutError::InvalidGrant`] when it is not a token of this issuer.
    pub async fn logout_with_refresh_token(
        &self,
        token: &str,
        device: &Device,
    ) -> Result<Revoked, LogoutError> {
        let token = self.keys.open_refresh_token(token)?;
        let Some(session) = self.context.store.session(token.session)? else {
            return Ok(self.context.revoked_so_far()?);
        };
        if !token.is_of(&session) {
            return Err(InvalidGrant("not of the session's own secret").into());
        }
        let why = self.context.audit_session(Event::Logout, &session, device);
        Ok(self.end(session.id, why).await?.revoked)
    }

    /// Ends every session of the account of a live access token.
    pub async fn logout_all(&self, claims: &Claims, device: &Device) -> Result<Revoked, AccountError> {
        let account = self.me(claims)?;
        let mut why = self.context.audit(Event::LogoutAll, device);
        why.account = Some(account.id);
        Ok(self.end_all(account.id, None, None, why).await?)
    }

    /// Ends the session of a refresh token that `client` revokes (RFC 7009). A token that is not the client's is left as
    /// it is.
    pub(in crate::ops) async fn revoke_refresh_token(
        &self,
        client: &ClientId,
        token: &str,
        device: &Device,
    ) -> Result<(), Fault> {
        let Ok(token) = self.keys.open_refresh_token(token) else { return Ok(()) };
        let Some(session) = self.context.store.session(token.session)? else { return Ok(()) };
        if !token.is_of(&session) || session.client != *client {
            return Ok(());
        }
        let why = self.context.audit_session(Event::TokenRevoked, &session, device);
        self.end(session.id, why).await.map(drop)
    }
}
