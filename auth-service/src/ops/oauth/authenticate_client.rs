//! Which program is calling: by its id and secret, or by a service token of its own.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark::verify::Audiences;
use zeroize::Zeroizing;

use crate::domain::{
    assertion::{Assertion, InvalidAssertion},
    audience::INTROSPECT,
    client::{Client, ClientId, GrantType},
    secret::SecretHash,
};
use crate::ops::{AuthService, Error, error::GrantRefused};

/// Where tokens are had, below the issuer's URL. An assertion may name it as its audience (RFC 7523 §3).
pub const TOKEN_ENDPOINT: &str = "/oauth/token";

const NEITHER: Error = Error::Unauthenticated("no credentials that are taken here");

/// What a program shows of itself.
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
    /// A service token with the scope `introspect` and the issuer in `aud`.
    Token(Zeroizing<String>),
    /// An id alone: a public client's, which has nothing to prove itself with.
    Public(String),
}

/// A client at the token endpoint.
#[derive(Clone, Debug)]
pub enum OAuthClient {
    /// The reserved public client of `/login`.
    FirstParty,
    /// A registered one, which proved who it is.
    Registered(Arc<Client>),
}

/// A program that proved who it is, and that may ask about tokens.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Client>);

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.0.id
    }

    /// Whether it may ask about a token that is for `audiences`.
    #[must_use]
    pub fn may_know_of(&self, audiences: &Audiences) -> bool {
        self.0.audiences.iter().any(|audience| audiences.contains(audience))
    }
}

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
    /// The id of the client that they say they are of, as far as can be told without a proof.
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

impl AuthService {
    /// Proves that `credentials` are those of a client which may ask about tokens.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when they are nobody's; [`Error::NotAllowed`] when the client lacks the scope.
    pub fn authenticate_caller(&self, credentials: &Credentials) -> Result<Caller, Error> {
        let client = match credentials {
            Credentials::Secret { id, secret } => self.client_with_secret(id, secret)?,
            Credentials::Token(token) => self.client_with_token(token)?,
            Credentials::Assertion(_) | Credentials::Public(_) => return Err(NEITHER),
        };
        may_ask(client)
    }

    /// Whether a client that was authenticated a while ago may ask still: on a stream that goes on, it may have been disabled
    /// since, or have lost the scope.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] and [`Error::NotAllowed`].
    pub(in crate::ops) fn still_may_ask(&self, id: &ClientId) -> Result<Caller, Error> {
        let client = self.registry.now().client(id).filter(|client| client.is_enabled).cloned();
        may_ask(client.ok_or(Error::Unauthenticated("the client was disabled"))?)
    }

    /// The same where a client may sign, too.
    ///
    /// # Errors
    /// The same.
    pub async fn authenticate_introspector(&self, credentials: &Credentials) -> Result<Caller, Error> {
        match credentials {
            Credentials::Assertion(assertion) => may_ask(self.client_with_assertion(assertion).await?),
            others => self.authenticate_caller(others),
        }
    }

    /// Proves that `credentials` are those of a client (RFC 6749 §2.3).
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when they are nobody's.
    pub async fn authenticate_client(&self, credentials: &Credentials) -> Result<OAuthClient, Error> {
        let client = match credentials {
            Credentials::Public(id) if *id == ClientId::first_party().as_str() => {
                return Ok(OAuthClient::FirstParty);
            }
            Credentials::Secret { id, secret } => self.client_with_secret(id, secret)?,
            Credentials::Assertion(assertion) => self.client_with_assertion(assertion).await?,
            Credentials::Public(_) | Credentials::Token(_) => return Err(NEITHER),
        };
        Ok(OAuthClient::Registered(client))
    }

    async fn client_with_assertion(&self, text: &str) -> Result<Arc<Client>, Error> {
        let refused = |reason: InvalidAssertion| {
            tracing::info!(%reason, "client refused");
            Error::Unauthenticated("the assertion is refused")
        };
        let assertion = Assertion::read(text).map_err(refused)?;
        let client = assertion.issuer().parse().ok().and_then(|id| self.registry.now().client(&id).cloned());
        let client =
            client.filter(|client| client.is_enabled).ok_or(Error::Unauthenticated("unknown client"))?;
        let issuer = self.policy.issuer.as_str();
        let endpoint = format!("{issuer}{TOKEN_ENDPOINT}");
        let jwks = client.jwks.as_deref().unwrap_or_default();
        let spent = assertion.verify(jwks, &[issuer, &endpoint], self.clock.now()).map_err(refused)?;
        if self.store.spend_assertion(client.id.clone(), spent).await? {
            Ok(client)
        } else {
            Err(Error::Unauthenticated("the assertion was used before"))
        }
    }

    /// An unknown client takes the same path as a known one: a look-up, a hash, a comparison.
    fn client_with_secret(&self, id: &str, secret: &str) -> Result<Arc<Client>, Error> {
        let shown = SecretHash::of(secret);
        let client = match id.parse::<ClientId>() {
            Ok(id) => self.registry.now().client(&id).cloned(),
            Err(_) => None,
        };
        let nobodys = [SecretHash::from_bytes([0; 32])];
        let held = client.as_ref().map_or(&nobodys[..], |client| &client.secrets);
        let is_right = held.iter().fold(false, |right, hash| hash.is_same(&shown) | right);
        client
            .filter(|client| is_right && client.is_enabled)
            .ok_or(Error::Unauthenticated("unknown or disabled client, or wrong secret"))
    }

    fn client_with_token(&self, token: &str) -> Result<Arc<Client>, Error> {
        let refused = Error::Unauthenticated("the service token is refused");
        let Ok(verified) = self.verified(&self.caller_verifier, token) else { return Err(refused) };
        let claims = verified.claims();
        if !claims.scope.contains(INTROSPECT) {
            return Err(Error::NotAllowed);
        }
        // A service token's subject is its client; a user's is not, and client ids are never UUIDs.
        let Ok(id) = claims.sub.as_str().parse::<ClientId>() else { return Err(refused) };
        self.registry.now().client(&id).filter(|client| client.is_enabled).cloned().ok_or(refused)
    }
}

fn may_ask(client: Arc<Client>) -> Result<Caller, Error> {
    if client.scopes.contains(INTROSPECT) { Ok(Caller(client)) } else { Err(Error::NotAllowed) }
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
