//! Refresh: the session's one live refresh token for its successor ("Single successor").

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::ops::{
    AuthService, Error,
    oauth::authenticate_client::OAuthClient,
    tokens::mint::{Delivery, MintContext, Tokens},
};
use crate::{
    domain::{
        audit::Event,
        client::{ClientId, GrantType},
        granting::{GrantLimit, GrantRequest},
        session::{Device, Session, SessionId, Verdict},
    },
    keys::refresh_keys::AuthenticToken,
};

impl AuthService {
    /// Spends a refresh token that `client` shows. The immediate predecessor of the live one gets the same successor
    /// again within the grace window: its client has lost the answer.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`] when the token is not the live one of a session of that client.
    pub async fn refresh(
        &self,
        token: &str,
        client: &ClientId,
        delivery: Delivery,
        device: Device,
    ) -> Result<Tokens, Error> {
        self.refresh_narrowed(token, client, device, MintContext::refresh(delivery)).await
    }

    /// The same, with an access token that is narrower than the session when less is asked for. The session stays as wide
    /// as it is (RFC 6749 §6).
    ///
    /// # Errors
    /// [`Error::Grant`] when more is asked for, and then nothing is spent; [`Error::InvalidGrant`] as above.
    pub async fn refresh_asking(
        &self,
        token: &str,
        client: &OAuthClient,
        device: Device,
        asked: &GrantRequest,
    ) -> Result<Tokens, Error> {
        if let OAuthClient::Registered(_) = client {
            client.registered_for(GrantType::RefreshToken)?;
        }
        let mut context = MintContext::refresh(Delivery::Body);
        if !asked.is_nothing() {
            let audiences = self.policy.audiences.clone();
            let scopes = self.registry.now().default_scopes(&audiences);
            context.narrowed = Some(self.grant(&GrantLimit { scopes, audiences }, asked)?);
        }
        self.refresh_narrowed(token, &client.id(), device, context).await
    }

    async fn refresh_narrowed(
        &self,
        token: &str,
        client: &ClientId,
        device: Device,
        context: MintContext,
    ) -> Result<Tokens, Error> {
        let genuine = self.genuine(token)?;
        let now = self.clock.now();
        loop {
            let mut session = self.session(genuine.session)?;
            if !genuine.is_of(&session) {
                return Err(Error::InvalidGrant("not of the session's own secret"));
            }
            if session.client != *client {
                return Err(Error::InvalidGrant("issued to another client"));
            }
            match session.decide(genuine.generation, &device, now, &self.policy.lifetimes) {
                Verdict::Repeat => {
                    let repeated = self.audit_session(Event::RefreshRepeated, &session, &device);
                    self.store.repeat_rotation(session.id, now, repeated).await?;
                }
                Verdict::Rotate => {
                    let rotated = self
                        .store
                        .rotate_session(session.id, session.generation, now, device.clone())
                        .await?;
                    if !rotated {
                        // Another request spent it in between; by what that one left behind this one is judged anew.
                        continue;
                    }
                    session.generation += 1;
                    session.rotated_at = now;
                }
                Verdict::Reuse => return Err(self.theft(&session, &device).await?),
                Verdict::Unknown => return Err(Error::InvalidGrant("newer than the session")),
                Verdict::Over => return Err(Error::InvalidGrant("the session is over")),
            }
            let tokens = self.mint_for(&session, context, now).await?;
            return tokens.ok_or(Error::InvalidGrant("the account is disabled or gone"));
        }
    }

    /// Whether `value` is the CSRF value of the session that a refresh token says it is of; compared in constant time.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`] when it is not a token of this issuer, or its session is gone.
    pub fn is_csrf_of(&self, token: &str, value: &str) -> Result<bool, Error> {
        let session = self.session(self.genuine(token)?.session)?;
        Ok(verify_slices_are_equal(self.csrf(&session).as_bytes(), value.as_bytes()).is_ok())
    }

    pub(in crate::ops) fn genuine(&self, token: &str) -> Result<AuthenticToken, Error> {
        self.keys.refresh.load().open(token).ok_or(Error::InvalidGrant("not a token of this issuer"))
    }

    /// A copy of the token is about. Nobody can tell the thief from the honest client, so the session ends for both; the
    /// audit entry names where either was.
    async fn theft(&self, session: &Session, device: &Device) -> Result<Error, Error> {
        tracing::warn!(session.id = %session.id, "a spent refresh token was shown: the session is ended");
        let mut entry = self.audit_session(Event::RefreshReused, session, device);
        let Device { user_agent, address } = &session.device;
        entry.detail = Some(format!("last rightful use from {address:?} by {user_agent:?}"));
        let ended = self.store.end_session(session.id, self.clock.now(), entry).await?;
        self.feed.apply(ended.as_slice());
        Ok(Error::InvalidGrant("spent before: the session was ended"))
    }

    fn session(&self, id: SessionId) -> Result<Session, Error> {
        self.store.session(id)?.ok_or(Error::InvalidGrant("no such session"))
    }
}
