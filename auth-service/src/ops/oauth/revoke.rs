//! Revocation of a token by the client that it was issued to (RFC 7009).

use std::sync::Arc;

use countermark::{
    clock::Timestamp,
    verify::{AnyAge, Claims, NumericDate, REFRESH_TOKEN_PREFIX, Revocation, TokenError},
};

use crate::domain::{account::AccountId, audit::Event, client::ClientId, session::Device};
use crate::ops::{AuthService, Error};

impl AuthService {
    /// Revokes a token of `client`: a refresh token with its session, an access token alone. A token that is another
    /// client's, dead, or none at all is left as it is, and nobody learns which.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; then nothing was revoked.
    pub async fn revoke_token(&self, client: &ClientId, token: &str, device: &Device) -> Result<(), Error> {
        if token.starts_with(REFRESH_TOKEN_PREFIX) {
            return self.revoke_refresh_token(client, token, device).await;
        }
        match self.verified_any_age(&self.verifier, token) {
            Ok(AnyAge::Live(token)) => self.revoke_access_token(client, token.claims(), device).await,
            // By our clock, that is. If it is wrong, the token lives elsewhere, or will live here when it is set right.
            Ok(AnyAge::Expired(_)) | Err(TokenError::NotYetValid) => {
                let genuine = self.genuine_claims(token);
                let settled = self.settled_time()?;
                let is_dead = |claims: &Claims| settled.is_some_and(|now| at(claims.exp) <= now);
                match genuine.filter(|claims| !is_dead(claims)) {
                    Some(claims) => self.revoke_access_token(client, &claims, device).await,
                    None => Ok(()),
                }
            }
            Err(_) => Ok(()),
        }
    }

    /// What an access token of ours claims, whenever it lives.
    fn genuine_claims(&self, token: &str) -> Option<Arc<Claims>> {
        const END_OF_TIME: Timestamp = Timestamp::from_unix_millis(i64::MAX);
        let keys = self.keys.ring.public();
        let judged =
            self.tokens.verify_any_age(&self.verifier, token, &keys, self.revocations(), END_OF_TIME);
        match judged {
            Ok(AnyAge::Expired(claims)) => Some(claims),
            Ok(AnyAge::Live(_)) | Err(_) => None,
        }
    }

    async fn revoke_refresh_token(
        &self,
        client: &ClientId,
        token: &str,
        device: &Device,
    ) -> Result<(), Error> {
        let Some(genuine) = self.keys.refresh.load().open(token) else { return Ok(()) };
        let Some(session) = self.store.session(genuine.session)? else { return Ok(()) };
        if !genuine.is_of(&session) || session.client != *client {
            return Ok(());
        }
        self.end_session(session.id, Event::TokenRevoked, device).await.map(drop)
    }

    async fn revoke_access_token(
        &self,
        client: &ClientId,
        claims: &Claims,
        device: &Device,
    ) -> Result<(), Error> {
        let is_the_clients = claims.client_id.as_ref().is_some_and(|id| id.as_str() == client.as_str());
        let Some(jti) = claims.jti.clone().filter(|_| is_the_clients) else { return Ok(()) };
        let mut why = self.audit(Event::TokenRevoked, device);
        why.client = Some(client.clone());
        why.account = claims.sub.as_str().parse::<AccountId>().ok();
        why.session = claims.sid.as_ref().and_then(|sid| sid.as_str().parse().ok());
        // An entry is kept for as long as its token can live, by whatever clock that was minted.
        let now = claims.iat.map_or(self.clock.now(), |iat| at(iat).max(self.clock.now()));
        let entry = self.store.revoke(Revocation::Token(jti), now, why).await?;
        self.feed.apply(&[entry]);
        Ok(())
    }
}

fn at(date: NumericDate) -> Timestamp {
    Timestamp::from_unix_seconds(date.unix_seconds())
}
