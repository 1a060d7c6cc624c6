//! Tokens for programs: a client's own, and one to call on a user's behalf with.

use std::sync::Arc;

use countermark::verify::{Audience, Claims};

use crate::domain::{
    client::{Client, GrantType},
    granting::{Grant, GrantLimit, GrantRequest},
};
use crate::ops::{
    AuthService, Error, error::GrantRefused, oauth::authenticate_client::OAuthClient, tokens::mint::Issued,
};

impl AuthService {
    /// A client's own token (RFC 6749 §4.4). It comes without a refresh token.
    ///
    /// # Errors
    /// [`Error::Grant`] when the client may not have it.
    pub async fn issue_service_token(
        &self,
        client: &OAuthClient,
        asked: &GrantRequest,
    ) -> Result<Issued, Error> {
        let client = client.registered_for(GrantType::ClientCredentials)?;
        let now = self.clock.now();
        let permit = self.mint_permit(client.id.as_str(), client.id.as_str(), now).await?;
        let client = self.still(client)?;
        let granted = self.grant(&GrantLimit::of(&client, &self.itself()), asked)?;
        self.mint_service_token(&client, granted, &permit, now)
    }

    /// A token to call another service with, on behalf of the subject of a token that was shown to this client (RFC 8693):
    /// for a part of that token's audiences and scopes at most, and of the client's own.
    ///
    /// # Errors
    /// [`Error::Grant`] when the client may not have it, or the subject token is not alive or not for this client.
    pub async fn exchange(
        &self,
        client: &OAuthClient,
        subject_token: &str,
        asked: &GrantRequest,
    ) -> Result<Issued, Error> {
        let client = client.registered_for(GrantType::TokenExchange)?;
        let now = self.clock.now();
        let subject = || self.subject(client, subject_token).ok_or(GrantRefused::SubjectToken);
        let permit = self.mint_permit(subject()?.sub.as_str(), client.id.as_str(), now).await?;
        // Judged again: a token that was revoked meanwhile has no successor.
        let (client, subject) = (self.still(client)?, subject()?);
        let most = GrantLimit::of(&client, &self.itself()).and(&subject.scope, &subject.aud);
        let granted = self.grant(&most, asked)?;
        self.mint_exchanged(Arc::unwrap_or_clone(subject), &client, granted, &permit, now)
    }

    /// The client as it is now.
    fn still(&self, client: &Client) -> Result<Arc<Client>, Error> {
        let client = self.registry.now().client(&client.id).filter(|client| client.is_enabled).cloned();
        client.ok_or(Error::Unauthenticated("the client was disabled meanwhile"))
    }

    /// The claims of a live token that is for that client itself.
    fn subject(&self, client: &Arc<Client>, token: &str) -> Option<Arc<Claims>> {
        let claims = self.verified(&self.verifier, token).ok()?.into_claims();
        claims.aud.contains(&Audience::new(client.id.as_str())).then_some(claims)
    }

    /// What is granted of `most` to who asks for `asked`.
    ///
    /// # Errors
    /// [`Error::Grant`] when it can't be.
    pub(in crate::ops) fn grant(&self, most: &GrantLimit, asked: &GrantRequest) -> Result<Grant, Error> {
        Ok(most.grant(asked, &self.registry.now(), &self.itself())?)
    }

    /// The issuer, as an audience: it owns the scope `introspect`.
    pub(in crate::ops) fn itself(&self) -> Audience {
        Audience::new(self.policy.issuer.as_str())
    }
}
