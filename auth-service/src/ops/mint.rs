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
    /// The session's live refresh token.
    pub refresh_token: String,
    /// How long that one lives if it isn't used: the nearer of the session's idle and absolute end.
    pub refresh_expires_in: Duration,
}

impl Hall {
    /// The tokens of `session`, whose live refresh token is of its own generation. `fresh` says that the user has just
    /// given credentials.
    ///
    /// # Errors
    /// [`Error`] when the library or the database fails.
    pub fn mint_tokens(
        &self,
        account: &Account,
        session: &Session,
        fresh: bool,
        now: Timestamp,
    ) -> Result<Tokens, Error> {
        let lifetimes = &self.policy.lifetimes;
        let ttl = if fresh { self.policy.access_ttl } else { self.policy.refreshed_access_ttl };
        let claims = self.user_claims(account, session, fresh, now, ttl)?;
        let refresh_token = self
            .refresh_keys
            .token(session.id, &session.secret, session.generation)
            .ok_or(Error::Defect("no key for refresh tokens"))?;
        Ok(Tokens {
            access_token: self.ring.sign(&claims)?,
            expires_in: ttl,
            scope: claims.scope,
            refresh_token,
            refresh_expires_in: session.remaining(now, lifetimes),
        })
    }

    fn user_claims(
        &self,
        account: &Account,
        session: &Session,
        fresh: bool,
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
            iat: Some(date(now)),
            jti: Some(self.token_id()?),
            client_id: Some(opaque(session.client.as_str())?),
            scope: self.store.default_scopes(audiences)?,
            roles: account.roles.iter().map(Role::as_str).map(str::to_owned).collect(),
            email: Some(account.email.as_str().to_owned()),
            sid: Some(opaque(&session.id.to_string())?),
            auth_time: Some(date(session.created_at)),
            fresh: Some(fresh),
            amr: vec!["pwd".to_owned()],
            csrf: None,
            custom: Map::new(),
        })
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
