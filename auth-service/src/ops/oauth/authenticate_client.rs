//! A program proves which client it is: by a secret, a signature of its own, or a service token.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark::verify::Scope;
use zeroize::Zeroizing;

use super::Clients;
use crate::{
    domain::{
        assertion::{Assertion, InvalidAssertion, Spent},
        audit::Event,
        client::{Client, ClientId, GrantType},
        secret::SecretHash,
        token_limits::{Subjects, TokenUse},
    },
    ops::{
        caller::{Caller, CallerError, Proof, ServiceToken},
        error::{Fault, GrantRefused, TooManyTries, Unauthenticated, has_faults},
        refusals::Refused,
    },
};

/// The path of the token endpoint, below the issuer's URL. An assertion may name it as its audience (RFC 7523 §3).
pub const TOKEN_ENDPOINT: &str = "/oauth/token";

const NEITHER: Unauthenticated = Unauthenticated("no credentials that are taken here");

/// The credentials that a program shows.
pub enum Credentials {
    /// A client's id and secret.
    Secret {
        /// The id, as it was shown.
        id: String,
        /// The secret, as it was shown.
        secret: Zeroizing<String>,
    },
    /// A client's own signature: `private_key_jwt` (RFC 7523).
    Assertion(Zeroizing<String>),
    /// A service token with the issuer in `aud`, and the scope `introspect` or `watch`.
    Token(Zeroizing<String>),
    /// An id alone: that of a public client, which has no secret.
    Public(String),
}

/// A client at the token endpoint.
#[derive(Clone, Debug)]
pub enum OAuthClient {
    /// The reserved public client of `/login`.
    FirstParty,
    /// A registered client, which proved its identity.
    Registered(Arc<Client>),
}

/// A client did not authenticate.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The credentials are wrong.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// Too many requests of this client. Its assertion, if it showed one, is not spent.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

/// A client may not introspect.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectorError {
    /// It did not authenticate, or lacks the scope.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(ClientError, IntrospectorError);

impl OAuthClient {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ClientId {
        match self {
            Self::FirstParty => ClientId::first_party(),
            Self::Registered(client) => client.id.clone(),
        }
    }

    /// The registered client, if it may use `grant`.
    ///
    /// # Errors
    /// [`GrantRefused::UnauthorizedClient`] when it may not.
    pub fn registered_for(&self, grant: GrantType) -> Result<&Arc<Client>, GrantRefused> {
        match self {
            Self::Registered(client) if client.grants.contains(&grant) => Ok(client),
            Self::Registered(_) | Self::FirstParty => Err(GrantRefused::UnauthorizedClient(grant.as_str())),
        }
    }
}

impl Credentials {
    /// The client id that the credentials name. Nothing is proven yet.
    #[must_use]
    pub fn client_id(&self) -> Option<String> {
        match self {
            Self::Secret { id, .. } | Self::Public(id) => Some(id.clone()),
            Self::Assertion(assertion) => Some(Assertion::read(assertion).ok()?.issuer().to_owned()),
            Self::Token(_) => None,
        }
    }

    /// Reads the value of an `Authorization` header or metadata entry: `Basic` (RFC 7617; id and secret form-encoded,
    /// RFC 6749 §2.3.1) or `Bearer`. `None` when it is neither.
    #[must_use]
    pub fn parse(authorization: &str) -> Option<Self> {
        let (scheme, value) = authorization.split_once(' ')?;
        let value = value.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Token(Zeroizing::new(value.to_owned())));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = Zeroizing::new(STANDARD.decode(value).ok()?);
        let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some(Self::Secret { id: form_decoded(id)?, secret: Zeroizing::new(form_decoded(secret)?) })
    }
}

impl Clients {
    /// Authenticates a client that may ask about tokens, or watch.
    ///
    /// # Errors
    /// [`CallerError`] when the credentials are wrong, or the client lacks the scope.
    pub fn authenticate_caller(&self, credentials: &Credentials) -> Result<Caller, CallerError> {
        let registry = self.context.registry.now();
        match credentials {
            Credentials::Secret { id, secret } => {
                let (client, shown) = self.client_with_secret(id, secret)?;
                Caller::new(client, Proof::Secret(shown), &registry)
            }
            Credentials::Token(token) => {
                let (client, scope) = self
                    .client_with_token(token)
                    .inspect_err(|_| self.count_refused(None, "a service token"))?;
                let token = ServiceToken { text: token.clone(), scope };
                Caller::new(client, Proof::Token(Arc::new(token)), &registry)
            }
            Credentials::Assertion(_) | Credentials::Public(_) => Err(NEITHER.into()),
        }
    }

    /// Authenticates a client that may ask about tokens. It may also sign an assertion.
    pub async fn authenticate_introspector(
        &self,
        credentials: &Credentials,
    ) -> Result<Caller, IntrospectorError> {
        let caller = match credentials {
            Credentials::Assertion(assertion) => {
                let (client, spent) = self.proven_by(assertion).map_err(CallerError::from)?;
                self.spend(&client, spent).await?.map_err(CallerError::from)?;
                Caller::new(client, Proof::Assertion, &self.context.registry.now())?
            }
            Credentials::Secret { .. } | Credentials::Token(_) | Credentials::Public(_) => {
                self.authenticate_caller(credentials)?
            }
        };
        caller.check_may_introspect()?;
        Ok(caller)
    }

    /// Authenticates a client (RFC 6749 §2.3), and counts its request. Requests of the public client count for nobody: anyone
    /// can name it.
    pub async fn authenticate_client(&self, credentials: &Credentials) -> Result<OAuthClient, ClientError> {
        let client = match credentials {
            Credentials::Public(id) if *id == ClientId::first_party().as_str() => {
                return Ok(OAuthClient::FirstParty);
            }
            Credentials::Secret { id, secret } => {
                let (client, _) = self.client_with_secret(id, secret)?;
                self.take_try(&client)?;
                client
            }
            Credentials::Assertion(assertion) => {
                let (client, spent) = self.proven_by(assertion)?;
                self.take_try(&client)?;
                self.spend(&client, spent).await??;
                client
            }
            Credentials::Public(_) | Credentials::Token(_) => return Err(NEITHER.into()),
        };
        Ok(OAuthClient::Registered(client))
    }

    fn take_try(&self, client: &Client) -> Result<(), TooManyTries> {
        let subjects = Subjects { client: Some(client.id.clone()), ..Subjects::default() };
        self.context.take_token_try(TokenUse::Issue, subjects)
    }

    /// The client that signed the assertion, which is not spent yet.
    fn proven_by(&self, text: &str) -> Result<(Arc<Client>, Spent), Unauthenticated> {
        self.signer_of(text).inspect_err(|_| {
            let named = Assertion::read(text).ok().and_then(|assertion| assertion.issuer().parse().ok());
            let known = named.filter(|id| self.context.registry.now().client(id).is_some());
            self.count_refused(known, "a client's assertion");
        })
    }

    fn signer_of(&self, text: &str) -> Result<(Arc<Client>, Spent), Unauthenticated> {
        let refused = |reason: InvalidAssertion| {
            tracing::info!(%reason, "client refused");
            Unauthenticated("the assertion is refused")
        };
        let assertion = Assertion::read(text).map_err(refused)?;
        let id = assertion.issuer().parse().ok();
        let client = id.and_then(|id| self.context.registry.now().client(&id).cloned());
        let client = client.filter(|client| client.is_enabled).ok_or(Unauthenticated("unknown client"))?;
        let issuer = self.context.policy.issuer.as_str();
        let endpoint = format!("{issuer}{TOKEN_ENDPOINT}");
        let jwks = client.jwks.as_deref().unwrap_or_default();
        let now = self.context.clock.now();
        let spent = assertion.verify(jwks, &[issuer, &endpoint], now).map_err(refused)?;
        Ok((client, spent))
    }

    async fn spend(&self, client: &Client, spent: Spent) -> Result<Result<(), Unauthenticated>, Fault> {
        let is_first = self.context.store.spend_assertion(client.id.clone(), spent).await?;
        if is_first {
            return Ok(Ok(()));
        }
        self.count_refused(Some(client.id.clone()), "a client's assertion");
        Ok(Err(Unauthenticated("the assertion was used before")))
    }

    /// The client, and the hash of the secret that it showed. An unknown client takes the same path as a known one: a look-up, a hash, a comparison.
    fn client_with_secret(
        &self,
        id: &str,
        secret: &str,
    ) -> Result<(Arc<Client>, SecretHash), Unauthenticated> {
        let shown = SecretHash::of(secret);
        let known = match id.parse::<ClientId>() {
            Ok(id) => self.context.registry.now().client(&id).cloned(),
            Err(_) => None,
        };
        let nobodys = [SecretHash::from_bytes([0; 32])];
        let held = known.as_ref().map_or(&nobodys[..], |client| &client.secrets);
        let is_right = held.iter().fold(false, |right, hash| hash.is_same(&shown) | right);
        match known {
            Some(client) if is_right && client.is_enabled => Ok((client, shown)),
            refused => {
                self.count_refused(refused.map(|client| client.id.clone()), "a client's secret");
                Err(Unauthenticated("unknown or disabled client, or wrong secret"))
            }
        }
    }

    /// Counts a refused authentication, for the audit trail. `id` is of a client that is registered.
    fn count_refused(&self, id: Option<ClientId>, what: &'static str) {
        let refused = Refused { event: Event::ClientRefused, account: None, client: id, what };
        self.context.refusals.count(refused);
    }

    /// The client whose token it is, and the token's scope.
    fn client_with_token(&self, token: &str) -> Result<(Arc<Client>, Scope), Unauthenticated> {
        const REFUSED: Unauthenticated = Unauthenticated("the service token is refused");
        let verified = self.tokens.verify(&self.verifier, token).map_err(|_| REFUSED)?;
        let claims = verified.claims();
        // A service token's subject is its client; a user's is not, and client ids are never UUIDs.
        let id = claims.sub.as_str().parse::<ClientId>().map_err(|_| REFUSED)?;
        let client = self.context.registry.now().client(&id).filter(|client| client.is_enabled).cloned();
        Ok((client.ok_or(REFUSED)?, claims.scope.clone()))
    }
}

/// `application/x-www-form-urlencoded`, of one value. An `&` or `=` in it stands for itself: nothing is split there.
fn form_decoded(text: &str) -> Option<String> {
    if !text.contains(['+', '%']) {
        return Some(text.to_owned());
    }
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(pair: &str) -> Option<(String, String)> {
        match Credentials::parse(&format!("bAsIc {}", STANDARD.encode(pair)))? {
            Credentials::Secret { id, secret } => Some((id, secret.to_string())),
            Credentials::Assertion(_) | Credentials::Token(_) | Credentials::Public(_) => None,
        }
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        assert_eq!(basic("a:b"), Some(("a".into(), "b".into())));
        assert_eq!(basic("a%3Ab:c%2B+d:e"), Some(("a:b".into(), "c+ d:e".into())));
        assert_eq!(basic("a:%ff"), None);
        assert_eq!(basic("a"), None);
    }
}
