//! Logout: a session is ended, and its access tokens with it.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::verify::Claims;
use serde::Deserialize;

use super::{Sessions, me::AccountError};
use crate::{
    domain::{
        audit::Event,
        client::ClientId,
        session::{Device, SessionId},
        token_limits::TokenUse,
    },
    ops::{
        error::{Fault, InvalidGrant, RevokeError, has_faults},
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

    /// A logout by an access token that is revoked already: the session ended before, which is all that a logout asks for. The
    /// token's signature was proven.
    pub fn logout_again(&self, token: Option<&str>) -> Result<Revoked, Fault> {
        match token.and_then(session_named) {
            Some(id) => self.ended_before(id),
            None => Ok(self.context.revoked_so_far()?),
        }
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

    /// Ends every session of the account of a live access token. Tokens that were exchanged for its tokens die with them.
    pub async fn logout_all(&self, claims: &Claims, device: &Device) -> Result<Revoked, AccountError> {
        let account = self.me(claims)?;
        let mut why = self.context.audit(Event::LogoutAll, device);
        why.account = Some(account.id);
        Ok(self.end_all(account.id, None, why).await?)
    }

    /// Ends the session of a refresh token that `client` revokes (RFC 7009). A token that is not the client's is left as
    /// it is.
    pub(in crate::ops) async fn revoke_refresh_token(
        &self,
        client: &ClientId,
        token: &str,
        device: &Device,
    ) -> Result<(), RevokeError> {
        let Ok(token) = self.keys.open_refresh_token(token) else { return Ok(()) };
        let Some(session) = self.context.store.session(token.session)? else { return Ok(()) };
        if !token.is_of(&session) || session.client != *client {
            return Ok(());
        }
        self.context.take_token_try(TokenUse::Revoke, (&session).into())?;
        let why = self.context.audit_session(Event::TokenRevoked, &session, device);
        self.end(session.id, why).await?;
        Ok(())
    }
}

/// The session that an access token names.
fn session_named(token: &str) -> Option<SessionId> {
    #[derive(Deserialize)]
    struct Payload<'a> {
        sid: Cow<'a, str>,
    }

    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Payload<'_>>(&payload).ok()?.sid.parse().ok()
}
