//! Minting: the one way to an access token.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::{
    clock::Timestamp,
    verify::{Audiences, Claims, NumericDate, Opaque, Scope},
};
use serde_json::{Map, json};

use super::{Tokens, mint_permit::MintPermit};
use crate::domain::{
    account::{Account, Role},
    client::Client,
    granting::Grant,
    session::Session,
};
use crate::ops::Fault;

/// The claim that names who acts on the subject's behalf (RFC 8693 §4.1).
const ACT: &str = "act";

/// The tokens that a login or a refresh answers.
#[derive(Debug)]
pub struct IssuedTokens {
    /// The access token, in JWS compact form.
    pub access_token: String,
    /// Its lifetime.
    pub expires_in: Duration,
    /// The scope of the access token.
    pub scope: Scope,
    /// The CSRF value that unsafe requests by cookie repeat. Only when the tokens go into cookies.
    pub csrf: Option<String>,
    /// The session's live refresh token.
    pub refresh_token: String,
    /// The lifetime of the refresh token if it isn't used: until the nearer of the session's idle and absolute end.
    pub refresh_expires_in: Duration,
}

/// An access token alone.
#[derive(Debug)]
pub struct Issued {
    /// The access token, in JWS compact form.
    pub access_token: String,
    /// Its lifetime.
    pub expires_in: Duration,
    /// The scope of the access token.
    pub scope: Scope,
}

/// The request that tokens are minted for.
#[derive(Clone, Debug)]
pub struct MintContext {
    /// Whether the user has just given credentials.
    pub fresh: bool,
    /// How the tokens reach their client.
    pub delivery: Delivery,
    /// The narrower grant of the access token, if less was asked for than the session may have.
    pub narrowed: Option<Grant>,
}

impl MintContext {
    /// A login.
    #[must_use]
    pub fn login(delivery: Delivery) -> Self {
        Self { fresh: true, delivery, narrowed: None }
    }

    /// A refresh.
    #[must_use]
    pub fn refresh(delivery: Delivery) -> Self {
        Self { fresh: false, delivery, narrowed: None }
    }
}

/// How tokens reach their client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the answer's body.
    Body,
    /// In cookies that scripts can't read.
    Cookie,
}

impl Tokens {
    /// Mints the tokens of `session`, for its account as it is now. `None` when the account is disabled or gone, or
    /// the session is over.
    pub(in crate::ops) async fn mint_for(
        &self,
        session: &Session,
        context: MintContext,
        now: Timestamp,
    ) -> Result<Option<IssuedTokens>, Fault> {
        let permit = self.mint_permit(&session.account.to_string(), session.client.as_str(), now).await?;
        // The entry that ended all sessions of the account does not match tokens of this permit.
        let goes_on = self.context.store.session(session.id)?.is_some_and(|now| now.revoked_at.is_none());
        if goes_on { self.mint_with(&permit, session, context, now) } else { Ok(None) }
    }

    /// The same with a permit that is there already.
    pub(in crate::ops) fn mint_with(
        &self,
        permit: &MintPermit,
        session: &Session,
        context: MintContext,
        now: Timestamp,
    ) -> Result<Option<IssuedTokens>, Fault> {
        let account = self.context.store.account(session.account)?.filter(Account::is_enabled);
        account.map(|account| self.mint_tokens(&account, session, context, permit, now)).transpose()
    }

    /// Mints the tokens of `session`, whose live refresh token is of its own generation.
    pub fn mint_tokens(
        &self,
        account: &Account,
        session: &Session,
        context: MintContext,
        permit: &MintPermit,
        now: Timestamp,
    ) -> Result<IssuedTokens, Fault> {
        // No access token outlives its session.
        let remaining = session.remaining(now, &self.context.policy.lifetimes);
        let ttl = if context.fresh {
            self.context.policy.access_ttl
        } else {
            self.context.policy.refreshed_access_ttl
        };
        let ttl = ttl.min(remaining);
        let csrf = (context.delivery == Delivery::Cookie).then(|| self.keys.csrf(session));
        let mut claims = self.user_claims(account, session, permit, now.after(ttl))?;
        if let Some(granted) = context.narrowed {
            (claims.scope, claims.aud) = (granted.scope, granted.audiences);
        }
        claims.fresh = Some(context.fresh);
        claims.csrf.clone_from(&csrf);
        let refresh_token = self.keys.refresh_token(session)?;
        Ok(IssuedTokens {
            access_token: permit.key.sign(&claims)?,
            expires_in: ttl,
            scope: claims.scope,
            csrf,
            refresh_token,
            refresh_expires_in: remaining,
        })
    }

    /// Mints a service token: a client's own, on nobody's behalf.
    pub(in crate::ops) fn mint_service_token(
        &self,
        client: &Client,
        granted: Grant,
        permit: &MintPermit,
        now: Timestamp,
    ) -> Result<Issued, Fault> {
        let ttl = self.context.policy.access_ttl;
        let id = opaque(client.id.as_str())?;
        let claims = Claims {
            sub: id.clone(),
            client_id: Some(id),
            iat: Some(permit.iat),
            jti: Some(self.token_id()?),
            scope: granted.scope,
            roles: client.roles.iter().map(Role::as_str).map(str::to_owned).collect(),
            ..Claims::new(
                self.context.policy.issuer.clone(),
                opaque(client.id.as_str())?,
                granted.audiences,
                date(now.after(ttl)),
            )
        };
        issued(claims, permit, ttl)
    }

    /// Mints a token for `actor`, which calls on behalf of the subject of `subject` (RFC 8693). It lives no longer than
    /// that token.
    pub(in crate::ops) fn mint_exchanged(
        &self,
        subject: Claims,
        actor: &Client,
        granted: Grant,
        permit: &MintPermit,
        now: Timestamp,
    ) -> Result<Issued, Fault> {
        let left = subject.exp.unix_seconds().saturating_sub(now.unix_seconds());
        let ttl = self.context.policy.access_ttl.min(Duration::from_secs(left.unsigned_abs()));
        let mut custom = subject.custom;
        let mut act = json!({"sub": actor.id.as_str()});
        // The chain of those who acted before (§4.1).
        if let Some(before) = custom.remove(ACT) {
            act[ACT] = before;
        }
        custom.insert(ACT.to_owned(), act);
        let claims = Claims {
            aud: granted.audiences,
            scope: granted.scope,
            exp: date(now.after(ttl)),
            iat: Some(permit.iat),
            nbf: None,
            jti: Some(self.token_id()?),
            client_id: Some(opaque(actor.id.as_str())?),
            fresh: None,
            csrf: None,
            custom,
            ..subject
        };
        issued(claims, permit, ttl)
    }

    fn user_claims(
        &self,
        account: &Account,
        session: &Session,
        permit: &MintPermit,
        expires_at: Timestamp,
    ) -> Result<Claims, Fault> {
        let audiences = &self.context.policy.audiences;
        Ok(Claims {
            iss: self.context.policy.issuer.clone(),
            sub: opaque(&account.id.to_string())?,
            aud: Audiences::new(audiences.clone()).ok_or(Fault::Defect("no audience"))?,
            exp: date(expires_at),
            nbf: None,
            iat: Some(permit.iat),
            jti: Some(self.token_id()?),
            client_id: Some(opaque(session.client.as_str())?),
            scope: self.context.registry.now().default_scopes(audiences),
            roles: account.roles.iter().map(Role::as_str).map(str::to_owned).collect(),
            email: Some(account.email.as_str().to_owned()),
            sid: Some(opaque(&session.id.to_string())?),
            auth_time: Some(date(session.created_at)),
            fresh: None,
            amr: vec!["pwd".to_owned()],
            csrf: None,
            custom: Map::new(),
        })
    }

    /// 128 random bits.
    fn token_id(&self) -> Result<Opaque, Fault> {
        opaque(&URL_SAFE_NO_PAD.encode(self.context.random.bytes::<16>()?))
    }
}

fn issued(claims: Claims, permit: &MintPermit, expires_in: Duration) -> Result<Issued, Fault> {
    Ok(Issued { access_token: permit.key.sign(&claims)?, expires_in, scope: claims.scope })
}

fn date(at: Timestamp) -> NumericDate {
    NumericDate::from_unix_seconds(at.unix_seconds())
}

fn opaque(text: &str) -> Result<Opaque, Fault> {
    text.parse().map_err(|_| Fault::Defect("an id is empty or too long"))
}
