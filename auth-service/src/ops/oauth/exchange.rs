//! Token exchange: a token to call another service with, on behalf of the subject of another token (RFC 8693).

use std::sync::Arc;

use countermark::verify::{Audience, Claims};

use super::{Clients, authenticate_client::OAuthClient, client_credentials::IssueError};
use crate::{
    domain::{
        client::{Client, GrantType},
        granting::{GrantLimit, GrantRequest},
        token_limits::TokenUse,
    },
    ops::{error::GrantRefused, tokens::mint::Issued},
};

impl Clients {
    /// Exchanges a token that was shown to this client: for at most a part of that token's audiences and scopes, and of
    /// the client's own.
    pub async fn exchange(
        &self,
        client: &OAuthClient,
        subject_token: &str,
        asked: &GrantRequest,
    ) -> Result<Issued, IssueError> {
        let client = client.registered_for(GrantType::TokenExchange)?;
        let now = self.context.clock.now();
        let subject = || self.subject(client, subject_token).ok_or(GrantRefused::SubjectToken);
        let shown = subject()?;
        self.context.take_token_try(TokenUse::Issue, (&*shown).into())?;
        let permit = self.tokens.mint_permit(shown.sub.as_str(), client.id.as_str(), now).await?;
        // Both are checked again: a token that was revoked meanwhile has no successor.
        let (client, subject) = (self.still(client)?, subject()?);
        let limit =
            GrantLimit::of(&client, &self.context.issuer_audience()).and(&subject.scope, &subject.aud);
        let granted = self.context.grant(&limit, asked).map_err(GrantRefused::from)?;
        Ok(self.tokens.mint_exchanged(Arc::unwrap_or_clone(subject), &client, granted, &permit, now)?)
    }

    /// The claims of a live token that is for that client itself.
    fn subject(&self, client: &Arc<Client>, token: &str) -> Option<Arc<Claims>> {
        let claims = self.tokens.verify(self.tokens.verifier(), token).ok()?.into_claims();
        claims.aud.contains(&Audience::new(client.id.as_str())).then_some(claims)
    }
}
