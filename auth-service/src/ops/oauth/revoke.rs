//! Revocation of an access token by the client that it was issued to (RFC 7009).

use countermark::{
    clock::Timestamp,
    verify::{AnyAge, Claims, NumericDate, Revocation, TokenError},
};

use super::Clients;
use crate::{
    domain::{account::AccountId, audit::Event, client::ClientId, session::Device, token_limits::TokenUse},
    ops::error::RevokeError,
};

impl Clients {
    /// Revokes an access token of `client`. Any other token stays as it is.
    pub(in crate::ops) async fn revoke_access_token(
        &self,
        client: &ClientId,
        token: &str,
        device: &Device,
    ) -> Result<(), RevokeError> {
        match self.tokens.verify_any_age(self.tokens.verifier(), token) {
            Ok(AnyAge::Live(token)) => self.revoke_claims(client, token.claims(), device).await,
            // Expired by this clock. If the clock is wrong, the token lives elsewhere, or will live here once the clock is
            // right.
            Ok(AnyAge::Expired(_)) | Err(TokenError::NotYetValid) => {
                let certain = self.context.certain_now()?;
                let is_dead = |claims: &Claims| certain.is_some_and(|now| at(claims.exp) <= now);
                match self.tokens.signed_claims(token).filter(|claims| !is_dead(claims)) {
                    Some(claims) => self.revoke_claims(client, &claims, device).await,
                    None => Ok(()),
                }
            }
            Err(_) => Ok(()),
        }
    }

    async fn revoke_claims(
        &self,
        client: &ClientId,
        claims: &Claims,
        device: &Device,
    ) -> Result<(), RevokeError> {
        let is_the_clients = claims.client_id.as_ref().is_some_and(|id| id.as_str() == client.as_str());
        let Some(jti) = claims.jti.clone().filter(|_| is_the_clients) else { return Ok(()) };
        self.context.take_token_try(TokenUse::Revoke, claims.into())?;
        let mut why = self.context.audit(Event::TokenRevoked, device);
        why.client = Some(client.clone());
        why.account = claims.sub.as_str().parse::<AccountId>().ok();
        why.session = claims.sid.as_ref().and_then(|sid| sid.as_str().parse().ok());
        // An entry is kept for as long as its token can live, by the clock that it was minted with.
        let now = self.context.clock.now();
        let now = claims.iat.map_or(now, |iat| at(iat).max(now));
        let entry = self.context.store.revoke(Revocation::Token(jti), now, why).await?;
        self.context.feed.apply(&[entry]);
        Ok(())
    }
}

fn at(date: NumericDate) -> Timestamp {
    Timestamp::from_unix_seconds(date.unix_seconds())
}
