//! Minting: the one way to an access token.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, json};
use shared::{
    clock::Timestamp,
    token::{Audiences, Claims, Opaque, Scope, claims::NumericDate},
};

use super::{Error, Hall};
use crate::domain::{
    account::{Account, Role},
    client::{Client, ClientId},
    granting::Granted,
    session::Session,
};

/// Who acts on the subject's behalf (RFC 8693 §4.1).
const ACT: &str = "act";

/// What a login or a refresh answers.
#[derive(Debug)]
pub struct Tokens {
    /// The access token, in JWS compact form.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: Duration,
    /// What it may be used for.
    pub scope: Scope,
    /// What unsafe requests by cookie have to repeat; only when the tokens go into cookies.
    pub csrf: Option<String>,
    /// The session's live refresh token.
    pub refresh_token: String,
    /// How long that one lives if it isn't used: the nearer of the session's idle and absolute end.
    pub refresh_expires_in: Duration,
}

/// An access token alone.
#[derive(Debug)]
pub struct Issued {
    /// The access token, in JWS compact form.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: Duration,
    /// What it may be used for.
    pub scope: Scope,
}

/// What tokens are minted for.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Whether the user has just given credentials.
    pub fresh: bool,
    /// How they reach their client.
    pub delivery: Delivery,
    /// What the access token is narrowed to, when less was asked for than the session may have.
    pub narrowed: Option<Granted>,
}

impl Occasion {
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

impl Hall {
    /// The tokens of `session`, whose live refresh token is of its own generation.
    ///
    /// # Errors
    /// [`Error`] when the library or the database fails.
    pub fn mint_tokens(
        &self,
        account: &Account,
        session: &Session,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Tokens, Error> {
        // No access token outlives its session: whoever holds one is out at the session's end, too.
        let remaining = session.remaining(now, &self.policy.lifetimes);
        let ttl = if occasion.fresh { self.policy.access_ttl } else { self.policy.refreshed_access_ttl };
        let ttl = ttl.min(remaining);
        let csrf = (occasion.delivery == Delivery::Cookie).then(|| self.csrf(session));
        let mut claims = self.user_claims(account, session, now, ttl)?;
        if let Some(granted) = occasion.narrowed {
            (claims.scope, claims.aud) = (granted.scope, granted.audiences);
        }
        claims.fresh = Some(occasion.fresh);
        claims.csrf.clone_from(&csrf);
        let refresh_token =
            self.keys.refresh.load().token(session).ok_or(Error::Defect("no key for refresh tokens"))?;
        Ok(Tokens {
            access_token: self.keys.ring.sign(&claims)?,
            expires_in: ttl,
            scope: claims.scope,
            csrf,
            refresh_token,
            refresh_expires_in: remaining,
        })
    }

    /// A service token: a client's own, on nobody's behalf.
    ///
    /// # Errors
    /// [`Error`] when the library fails.
    pub(super) fn mint_service_token(
        &self,
        client: &Client,
        granted: Granted,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let ttl = self.policy.access_ttl;
        let id = opaque(client.id.as_str())?;
        let claims = Claims {
            sub: id.clone(),
            client_id: Some(id),
            iat: Some(self.minted_at(client.id.as_str(), &client.id, now)),
            jti: Some(self.token_id()?),
            scope: granted.scope,
            roles: client.roles.iter().map(Role::as_str).map(str::to_owned).collect(),
            ..Claims::new(
                self.policy.issuer.clone(),
                opaque(client.id.as_str())?,
                granted.audiences,
                date(now.after(ttl)),
            )
        };
        self.issue(claims, ttl)
    }

    /// A token for `actor`, which calls on behalf of the subject of `subject` (RFC 8693). It lives no longer than that.
    ///
    /// # Errors
    /// [`Error`] when the library fails.
    pub(super) fn mint_exchanged(
        &self,
        subject: Claims,
        actor: &Client,
        granted: Granted,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let left = subject.exp.unix_seconds().saturating_sub(now.unix_seconds());
        let ttl = self.policy.access_ttl.min(Duration::from_secs(left.unsigned_abs()));
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
            iat: Some(self.minted_at(subject.sub.as_str(), &actor.id, now).max(date(now))),
            nbf: None,
            jti: Some(self.token_id()?),
            client_id: Some(opaque(actor.id.as_str())?),
            fresh: None,
            csrf: None,
            custom,
            ..subject
        };
        self.issue(claims, ttl)
    }

    fn issue(&self, claims: Claims, expires_in: Duration) -> Result<Issued, Error> {
        let access_token = self.keys.ring.sign(&claims)?;
        Ok(Issued { access_token, expires_in, scope: claims.scope })
    }

    fn user_claims(
        &self,
        account: &Account,
        session: &Session,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Claims, Error> {
        let audiences = &self.policy.audiences;
        Ok(Claims {
            iss: self.policy.issuer.clone(),
            sub: opaque(&account.id.to_string())?,
            aud: Audiences::new(audiences.clone()).ok_or(Error::Defect("no audience"))?,
            exp: date(now.after(ttl)),
            nbf: None,
            iat: Some(self.minted_at(&account.id.to_string(), &session.client, now)),
            jti: Some(self.token_id()?),
            client_id: Some(opaque(session.client.as_str())?),
            scope: self.registry.now().default_scopes(audiences),
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

    /// The session's CSRF value, the same for its whole life.
    pub(super) fn csrf(&self, session: &Session) -> String {
        URL_SAFE_NO_PAD.encode(self.keys.refresh.load().csrf(session))
    }

    /// Now; or the next second after the latest revocation up to an instant, which would match it otherwise. Verifiers
    /// accept an `iat` that is a little ahead.
    fn minted_at(&self, subject: &str, client: &ClientId, now: Timestamp) -> NumericDate {
        let revoked = self.revocations().read(|set| set.revoked_up_to(subject, client.as_str()));
        let next = revoked.map(|at| NumericDate::from_unix_seconds(at.unix_seconds().saturating_add(1)));
        next.map_or(date(now), |next| next.max(date(now)))
    }

    /// 128 random bits.
    fn token_id(&self) -> Result<Opaque, Error> {
        opaque(&URL_SAFE_NO_PAD.encode(self.random.bytes::<16>()?))
    }
}

fn date(at: Timestamp) -> NumericDate {
    NumericDate::from_unix_seconds(at.unix_seconds())
}

fn opaque(text: &str) -> Result<Opaque, Error> {
    text.parse().map_err(|_| Error::Defect("an id is empty or too long"))
}
