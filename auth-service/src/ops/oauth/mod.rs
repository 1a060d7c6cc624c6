//! The part `clients`: programs authenticate, get tokens of their own, and revoke them.
//!
//! It touches the table of spent assertions and the revocation log, and reads clients and audiences from the registry in
//! memory. Tokens come from
//! [`tokens`](super::tokens). It sees no account, no session and no key.
//!
//! - [`authenticate_client`] — a program proves which client it is (RFC 6749 §2.3)
//! - [`client_credentials`] — a client's own token (RFC 6749 §4.4)
//! - [`exchange`] — a token to call on a user's behalf (RFC 8693)
//! - [`revoke`] — a client revokes its own token (RFC 7009)
//!
//! An operator registers clients: see [`admin`](super::admin::clients).

pub mod authenticate_client;
pub mod client_credentials;
pub mod exchange;
pub mod revoke;

use std::sync::Arc;

use countermark::verify::{AcceptedAudiences, Verifier};

use super::{Context, tokens::Tokens};

/// Programs authenticate and get tokens.
#[derive(Debug)]
pub struct Clients {
    context: Context,
    tokens: Arc<Tokens>,
    /// For service tokens that are shown to the issuer itself.
    verifier: Verifier,
}

impl Clients {
    /// Mints by way of `tokens`.
    #[must_use]
    pub fn new(context: Context, tokens: Arc<Tokens>) -> Self {
        let accepted = AcceptedAudiences::AnyOf(vec![context.issuer_audience()]);
        let verifier = Verifier::new(context.policy.issuer.clone(), accepted);
        Self { context, tokens, verifier }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::authenticate_client::{Credentials, OAuthClient};
    use crate::{domain::granting::GrantRequest, ops::testing::Bench};

    #[tokio::test]
    async fn a_client_gets_a_token_of_its_own_until_it_is_disabled() {
        let bench = Bench::open().await;
        let clients = bench.clients();
        let secret = bench.register_client().await;
        let shown = Credentials::Secret { id: "billing".to_owned(), secret: Zeroizing::new(secret) };
        let client = clients.authenticate_client(&shown).await.unwrap();
        assert!(matches!(&client, OAuthClient::Registered(_)));
        let asked = GrantRequest { scope: Some("introspect".parse().unwrap()), resources: Vec::new() };
        let issued = clients.issue_service_token(&client, &asked).await.unwrap();
        let token = Credentials::Token(Zeroizing::new(issued.access_token));
        assert_eq!(clients.authenticate_caller(&token).unwrap().client().as_str(), "billing");
        bench.disable_client().await;
        assert!(clients.authenticate_client(&shown).await.is_err());
        assert!(clients.authenticate_caller(&token).is_err());
        assert!(clients.issue_service_token(&client, &asked).await.is_err());
    }
}
