//! Refresh: the session's one live refresh token is exchanged for its successor ("Single successor").

use std::sync::atomic::Ordering;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use countermark::clock::Timestamp;

use super::Sessions;
use crate::{
    config::Policy,
    domain::{
        audit::Event,
        client::{ClientId, GrantType},
        granting::{GrantLimit, GrantRequest},
        session::{Device, Session, SessionId, Verdict},
        token_limits::TokenUse,
        went_back::WentBack,
    },
    keys::refresh_keys::AuthenticToken,
    ops::{
        error::{Fault, GrantRefused, InvalidGrant, TooManyTries, has_faults},
        oauth::authenticate_client::OAuthClient,
        tokens::{
            mint::{Delivery, IssuedTokens, MintContext},
            mint_permit::DraftPermit,
        },
    },
    store::{
        StoreError,
        sessions::{Marked, Spent},
    },
};

/// How a refresh token was shown. Its successor is delivered in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownBy<'a> {
    /// By a program, in a header or a body.
    Program,
    /// By a browser, in a cookie. Browsers send cookies unasked, so the request repeats the CSRF value.
    Cookie {
        /// The CSRF value that the request has. Empty when it has none.
        csrf: &'a str,
    },
}

/// A refresh is refused.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The refresh token is not the live one of a session of that client.
    #[error(transparent)]
    InvalidGrant(#[from] InvalidGrant),
    /// Too many refreshes. The refresh token is not spent.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The request by cookie has no CSRF value.
    #[error("the CSRF value is missing")]
    CsrfMissing,
    /// The CSRF value of a request by cookie is wrong.
    #[error("the CSRF value is wrong")]
    CsrfMismatch,
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
    /// Too many refreshes. The refresh token is not spent.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(RefreshError, RefreshGrantError);

/// A refresh, as both endpoints ask for it. Its token was proven to be the session's.
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
    /// The session was rotated, or ended, by another request.
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
    /// The first of `tokens` that this issuer made; the first one when it made none. The database is not read.
    #[must_use]
    pub fn own_refresh_token<'t>(&self, tokens: &'t [String]) -> Option<&'t str> {
        let own = tokens.iter().find(|token| self.keys.open_refresh_token(token).is_ok());
        own.or(tokens.first()).map(String::as_str)
    }

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
            if csrf.is_empty() {
                return Err(RefreshError::CsrfMissing);
            }
            let expected = self.keys.csrf(&session);
            verify_slices_are_equal(expected.as_bytes(), csrf.as_bytes())
                .map_err(|_| RefreshError::CsrfMismatch)?;
        }
        let context = MintContext::refresh(shown_by.delivery());
        let refresh = Refresh { token, client, device, context };
        self.take_refresh(&session, &refresh)??;
        Ok(self.spend(session, refresh).await??)
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
        let refresh = Refresh { token, client: &client.id(), device, context };
        self.take_refresh(&session, &refresh)??;
        Ok(self.spend(session, refresh).await??)
    }
}

impl Sessions {
    /// Counts a refresh that would be answered with tokens. A token that is not the session's own counts for nobody. A spent
    /// one is never limited: a thief who refreshes without end would keep the theft from being noticed.
    fn take_refresh(
        &self,
        session: &Session,
        Refresh { token, client, device, .. }: &Refresh<'_>,
    ) -> Result<Result<(), TooManyTries>, InvalidGrant> {
        if !token.is_of(session) {
            return Err(InvalidGrant("not of the session's own secret"));
        }
        if session.client != **client {
            return Err(InvalidGrant("issued to another client"));
        }
        let Policy { lifetimes, .. } = &*self.context.policy;
        Ok(match session.decide(token.generation, device, self.context.clock.now(), lifetimes) {
            Verdict::Rotate | Verdict::Repeat => self.context.take_token_try(TokenUse::Issue, session.into()),
            Verdict::Reuse | Verdict::Unknown | Verdict::Over => Ok(()),
        })
    }

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
        let Refresh { token, device, .. } = refresh;
        // Whether the session is over by what the database knows does not matter then: the database has lost something.
        if token.generation > session.generation {
            return Err(self.went_back(session).await);
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
                let live = session.generation;
                let repeated = store.repeat_rotation(session.id, live, now, draft.mark(), why).await?;
                Ok(repeated.map_or(Step::Outrun, |Marked(is_marked)| Step::Repeated(draft, is_marked)))
            }
            Verdict::Reuse => self.end_for_reuse(session, device).await.map(Step::Refused),
            Verdict::Unknown => Err(self.went_back(session).await),
            Verdict::Over => Ok(Step::Refused(InvalidGrant("the session is over"))),
        }
    }

    /// The token is authentic, and newer than the session: the rotation that it came from was lost. Its client keeps the
    /// token: it is the live one if the newer database comes back.
    async fn went_back(&self, session: &Session) -> Fault {
        let reason = format!("a refresh token of the session {} is newer than the session", session.id);
        let found = WentBack { reason, log_id: None };
        self.context.store.report_went_back(found.clone());
        // This process writes nothing from now on. If the evidence can't be stored yet, it is at the next beat.
        if let Err(error) = self.context.store.keep_evidence().await {
            tracing::warn!(%error, "the evidence is not stored yet");
        }
        StoreError::from(found).into()
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
        Ok(tokens.ok_or(InvalidGrant("the account is disabled or gone, or the session is over")))
    }

    /// Ends the session: somebody holds a copy of the token. Nobody can tell the thief from the honest client, so the
    /// session ends for both. The audit entry names where either was.
    async fn end_for_reuse(&self, session: &Session, device: &Device) -> Result<InvalidGrant, Fault> {
        tracing::warn!(session.id = %session.id, "a spent refresh token was shown: the session is ended");
        let mut why = self.context.audit_session(Event::RefreshReused, session, device);
        let Device { user_agent, address } = &session.device;
        let address = address.as_deref().unwrap_or("an unknown address");
        let program = user_agent.as_deref().unwrap_or("an unnamed program");
        why.detail = Some(format!("last rightful use from {address} by {program}"));
        if self.end(session.id, why).await?.was_live {
            self.thefts.fetch_add(1, Ordering::Relaxed);
        }
        Ok(InvalidGrant("spent before: the session was ended"))
    }

    fn session(&self, id: SessionId) -> Result<Result<Session, InvalidGrant>, Fault> {
        Ok(self.context.store.session(id)?.ok_or(InvalidGrant("no such session")))
    }
}
