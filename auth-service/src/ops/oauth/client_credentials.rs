//! A client's own token (RFC 6749 §4.4).

use std::sync::Arc;

use super::{Clients, authenticate_client::OAuthClient};
use crate::{
    domain::{
        client::{Client, GrantType},
        granting::{GrantLimit, GrantRequest},
    },
    ops::{
        error::{Fault, GrantRefused, TooManyTries, Unauthenticated, has_faults},
        tokens::mint::Issued,
    },
};

/// The token endpoint issues no token to a client.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The client may not have it.
    #[error(transparent)]
    Refused(#[from] GrantRefused),
    /// Too many tokens were issued a moment ago, for the subject of an exchange.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The client was disabled after it authenticated.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(IssueError);

impl Clients {
    /// Issues a client's own token. It comes without a refresh token.
    pub async fn issue_service_token(
        &self,
        client: &OAuthClient,
        asked: &GrantRequest,
    ) -> Result<Issued, IssueError> {
        let client = client.registered_for(GrantType::ClientCredentials)?;
        let now = self.context.clock.now();
        let permit = self.tokens.mint_permit(client.id.as_str(), client.id.as_str(), now).await?;
        let client = self.still(client)?;
        let limit = GrantLimit::of(&client, &self.context.issuer_audience());
        let granted = self.context.grant(&limit, asked).map_err(GrantRefused::from)?;
        Ok(self.tokens.mint_service_token(&client, granted, &permit, now)?)
    }

    /// The client as it is now.
    pub(super) fn still(&self, client: &Client) -> Result<Arc<Client>, Unauthenticated> {
        let client =
            self.context.registry.now().client(&client.id).filter(|client| client.is_enabled).cloned();
        client.ok_or(Unauthenticated("the client was disabled meanwhile"))
    }
}
