//! Minting: the one way to an access token.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Map;
use shared::{
    clock::Timestamp,
    token::{Audiences, Claims, Opaque, Scope, claims::NumericDate},
};

use super::{Error, Hall};
use crate::domain::{
    account::{Account, Role},
    session::Session,
};

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

/// What tokens are minted for.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// Whether the user has just given credentials.
    pub fresh: bool,
    /// How they reach their client.
    pub delivery: Delivery,
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
        let ttl = if occasion.fresh { self.policy.access_ttl } else { self.policy.refreshed_access_ttl };
        let csrf = (occasion.delivery == Delivery::Cookie).then(|| self.csrf(session));
        let mut claims = self.user_claims(account, session, now, ttl)?;
        claims.fresh = Some(occasion.fresh);
        claims.csrf.clone_from(&csrf);
        let refresh_token =
            self.refresh_keys.load().token(session).ok_or(Error::Defect("no key for refresh tokens"))?;
        Ok(Tokens {
            access_token: self.ring.sign(&claims)?,
            expires_in: ttl,
            scope: claims.scope,
            csrf,
            refresh_token,
            refresh_expires_in: session.remaining(now, &self.policy.lifetimes),
        })
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
            iat: Some(self.minted_at(account, session, now)),
            jti: Some(self.token_id()?),
            client_id: Some(opaque(session.client.as_str())?),
            scope: self.store.default_scopes(audiences)?,
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
        URL_SAFE_NO_PAD.encode(self.refresh_keys.load().csrf(session))
    }

    /// Now; or the next second after the latest revocation up to an instant, which would match it otherwise. Verifiers
    /// accept an `iat` that is a little ahead.
    fn minted_at(&self, account: &Account, session: &Session, now: Timestamp) -> NumericDate {
        let (account, client) = (account.id.to_string(), session.client.as_str());
        let revoked = self.revocations().read(|set| set.revoked_up_to(&account, client));
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
