//! Refresh: the session's one live refresh token is exchanged for its successor ("Single successor").

use aws_lc_rs::constant_time::verify_slices_are_equal;
use countermark::clock::Timestamp;

use super::Sessions;
use crate::{
    domain::{
        audit::Event,
        client::{ClientId, GrantType},
        granting::{GrantLimit, GrantRequest},
        session::{Device, Session, SessionId, Verdict},
    },
    keys::refresh_keys::AuthenticToken,
    ops::{
        error::{Fault, GrantRefused, InvalidGrant, has_faults},
        oauth::authenticate_client::OAuthClient,
        tokens::{
            mint::{Delivery, IssuedTokens, MintContext},
            mint_permit::DraftPermit,
        },
    },
    store::sessions::{Marked, Spent},
};

/// How a refresh token was shown. Its successor is delivered in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownBy<'a> {
    /// By a program, in a header or a body.
    Program,
    /// By a browser, in a cookie. Browsers send cookies unasked, so the request repeats the CSRF value.
    Cookie {
        /// The CSRF value that the request has.
        csrf: &'a str,
    },
}

/// A refresh is refused.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The refresh token is not the live one of a session of that client.
    #[error(transparent)]
    InvalidGrant(#[from] InvalidGrant),
    /// The CSRF value of a cookie is missing or wrong.
    #[error("the CSRF value is missing or wrong")]
    Csrf,
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

/// A refresh at the token endpoint is refused.
#[derive(Debug, thiserror::Error)]
pub enum RefreshGrantError {
    /// The refresh token is not the live one of a session of that client.
    #[error(transparent)]
    InvalidGrant(#[from] InvalidGrant),
    /// More was asked for than can be granted. The refresh token is not spent.
    #[error(transparent)]
    Refused(#[from] GrantRefused),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(RefreshError, RefreshGrantError);

/// A refresh, as both endpoints ask for it.
struct Refresh<'a> {
    token: AuthenticToken,
    client: &'a ClientId,
    device: Device,
    context: MintContext,
}

/// What came of one look at the session.
enum Step {
    Refused(InvalidGrant),
    Rotated(DraftPermit, bool),
    Repeated(DraftPermit, bool),
    /// The session was rotated by another request.
    Outrun,
}

impl ShownBy<'_> {
    /// How the successor reaches its client.
    #[must_use]
    pub fn delivery(self) -> Delivery {
        match self {
            Self::Program => Delivery::Body,
            Self::Cookie { .. } => Delivery::Cookie,
        }
    }
}

impl Sessions {
    /// Spends a refresh token that `client` shows. The immediate predecessor of the live one gets the same successor
    /// again within the grace window: its client has lost the answer.
    pub async fn refresh(
        &self,
        token: &str,
        client: &ClientId,
        shown_by: ShownBy<'_>,
        device: Device,
    ) -> Result<IssuedTokens, RefreshError> {
        let token = self.keys.open_refresh_token(token)?;
        let session = self.session(token.session)??;
        if let ShownBy::Cookie { csrf } = shown_by {
            let expected = self.keys.csrf(&session);
            verify_slices_are_equal(expected.as_bytes(), csrf.as_bytes()).map_err(|_| RefreshError::Csrf)?;
        }
        let context = MintContext::refresh(shown_by.delivery());
        Ok(self.spend(session, Refresh { token, client, device, context }).await??)
    }

    /// Spends a refresh token at the token endpoint. The access token is narrower than the session when less is asked
    /// for. The session stays as wide as it is (RFC 6749 §6).
    pub async fn refresh_grant(
        &self,
        token: &str,
        client: &OAuthClient,
        device: Device,
        asked: &GrantRequest,
    ) -> Result<IssuedTokens, RefreshGrantError> {
        if let OAuthClient::Registered(_) = client {
            client.registered_for(GrantType::RefreshToken)?;
        }
        let mut context = MintContext::refresh(Delivery::Body);
        if !asked.is_nothing() {
            let audiences = self.context.policy.audiences.clone();
            let scopes = self.context.registry.now().default_scopes(&audiences);
            let granted = self.context.grant(&GrantLimit { scopes, audiences }, asked);
            context.narrowed = Some(granted.map_err(GrantRefused::from)?);
        }
        let token = self.keys.open_refresh_token(token)?;
        let session = self.session(token.session)??;
        Ok(self.spend(session, Refresh { token, client: &client.id(), device, context }).await??)
    }
}

impl Sessions {
    /// Decides on the token, again if another request spends it meanwhile, and mints its successor.
    async fn spend(
        &self,
        mut session: Session,
        refresh: Refresh<'_>,
    ) -> Result<Result<IssuedTokens, InvalidGrant>, Fault> {
        let now = self.context.clock.now();
        loop {
            match self.step(&session, &refresh, now).await? {
                Step::Refused(why) => return Ok(Err(why)),
                Step::Rotated(draft, is_marked) => {
                    session.generation = session.generation.next();
                    session.rotated_at = now;
                    return self.successor(&session, refresh.context, draft, is_marked, now).await;
                }
                Step::Repeated(draft, is_marked) => {
                    return self.successor(&session, refresh.context, draft, is_marked, now).await;
                }
                // Another request spent the token in between. This one is decided again, by what that one left behind.
                Step::Outrun => match self.session(session.id)? {
                    Ok(read) => session = read,
                    Err(why) => return Ok(Err(why)),
                },
            }
        }
    }

    /// Decides on the token, and stores the decision with the mint watermark.
    async fn step(&self, session: &Session, refresh: &Refresh<'_>, now: Timestamp) -> Result<Step, Fault> {
        let Refresh { token, client, device, .. } = refresh;
        if !token.is_of(session) {
            return Ok(Step::Refused(InvalidGrant("not of the session's own secret")));
        }
        if session.client != **client {
            return Ok(Step::Refused(InvalidGrant("issued to another client")));
        }
        let store = &self.context.store;
        let draft = || self.tokens.draft_permit(&session.account.to_string(), session.client.as_str(), now);
        match session.decide(token.generation, device, now, &self.context.policy.lifetimes) {
            Verdict::Rotate => {
                let (draft, device) = (draft(), device.clone());
                let spent = Spent { id: session.id, generation: session.generation, now, device };
                let rotated = store.rotate_session(spent, draft.mark()).await?;
                Ok(rotated.map_or(Step::Outrun, |Marked(is_marked)| Step::Rotated(draft, is_marked)))
            }
            Verdict::Repeat => {
                let draft = draft();
                let why = self.context.audit_session(Event::RefreshRepeated, session, device);
                let Marked(is_marked) = store.repeat_rotation(session.id, now, draft.mark(), why).await?;
                Ok(Step::Repeated(draft, is_marked))
            }
            Verdict::Reuse => self.end_for_reuse(session, device).await.map(Step::Refused),
            Verdict::Unknown => Ok(Step::Refused(InvalidGrant("newer than the session"))),
            Verdict::Over => Ok(Step::Refused(InvalidGrant("the session is over"))),
        }
    }

    async fn successor(
        &self,
        session: &Session,
        context: MintContext,
        draft: DraftPermit,
        is_marked: bool,
        now: Timestamp,
    ) -> Result<Result<IssuedTokens, InvalidGrant>, Fault> {
        let tokens = match self.tokens.finish_permit(draft, is_marked)? {
            Some(permit) => self.tokens.mint_with(&permit, session, context, now)?,
            None => self.tokens.mint_for(session, context, now).await?,
        };
        Ok(tokens.ok_or(InvalidGrant("the account is disabled or gone")))
    }

    /// Ends the session: somebody holds a copy of the token. Nobody can tell the thief from the honest client, so the
    /// session ends for both. The audit entry names where either was.
    async fn end_for_reuse(&self, session: &Session, device: &Device) -> Result<InvalidGrant, Fault> {
        tracing::warn!(session.id = %session.id, "a spent refresh token was shown: the session is ended");
        let mut why = self.context.audit_session(Event::RefreshReused, session, device);
        let Device { user_agent, address } = &session.device;
        why.detail = Some(format!("last rightful use from {address:?} by {user_agent:?}"));
        self.end(session.id, why).await?;
        Ok(InvalidGrant("spent before: the session was ended"))
    }

    fn session(&self, id: SessionId) -> Result<Result<Session, InvalidGrant>, Fault> {
        Ok(self.context.store.session(id)?.ok_or(InvalidGrant("no such session")))
    }
}
