//! [`ServiceTokenConfig`]: the issuer, the client that asks, and the scope and audience of its token.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Client, Url, redirect::Policy};
use zeroize::Zeroizing;

use super::{
    ClientKey,
    request::{ClientProof, TokenRequest},
};
use crate::{
    clock::{Clock, SystemClock},
    issuer::credentials::basic,
    random::{Random, SystemRandom},
    verify::Scope,
};

/// How long a fetch may take unless another HTTP client is given.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The issuer, the client that asks, and the scope and audience of its token.
#[derive(Clone)]
pub struct ServiceTokenConfig {
    issuer: String,
    url: Option<String>,
    client_id: String,
    proof: Proof,
    scope: Option<Scope>,
    resources: Vec<String>,
    http: Option<Client>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

#[derive(Clone)]
enum Proof {
    Secret(Zeroizing<String>),
    Key(Arc<ClientKey>),
}

/// A configuration that no source can be made of.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The issuer's address is not an HTTP URL.
    #[error(
        "the issuer is not an http or https URL without query and fragment; write it like http://localhost:8080"
    )]
    Url,
    /// The credentials can't be sent. This never happens.
    #[error("the credentials can't be sent")]
    Credentials,
    /// The HTTP client can't be set up; the system may have no root certificates.
    #[error("the HTTP client can't be set up: {0}")]
    Http(#[source] reqwest::Error),
}

crate::sentence::debug_is_sentence!(InvalidConfig);

impl ServiceTokenConfig {
    /// Asks the issuer at that URL, as the client of that id and secret (`client_secret_basic`).
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: Zeroizing<String>,
    ) -> Self {
        Self::with_proof(issuer.into(), client_id.into(), Proof::Secret(client_secret))
    }

    /// The same as a client that signs (`private_key_jwt`, RFC 7523). The issuer's URL has to be spelled as the issuer does.
    #[must_use]
    pub fn signing(issuer: impl Into<String>, client_id: impl Into<String>, key: ClientKey) -> Self {
        Self::with_proof(issuer.into(), client_id.into(), Proof::Key(Arc::new(key)))
    }

    fn with_proof(issuer: String, client_id: String, proof: Proof) -> Self {
        Self {
            issuer,
            url: None,
            client_id,
            proof,
            scope: None,
            resources: Vec::new(),
            http: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }

    /// Reaches the issuer below that URL instead of its own.
    #[must_use]
    pub fn reached_at(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Asks for those scopes alone. Without it the token has all that the client may have, but for those that are granted
    /// by name only.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Asks for a token for that audience (RFC 8707); said several times, for those.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Asks with that HTTP client: for root certificates, a client certificate, or a time-out of one's own. It should
    /// follow no redirects, for they would take the client's proof elsewhere.
    #[must_use]
    pub fn with_http(mut self, http: Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Reads time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Draws randomness from there.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// What is asked.
    pub(super) fn request(&self) -> Result<TokenRequest, InvalidConfig> {
        let base = self.url.as_ref().unwrap_or(&self.issuer).trim_end_matches('/');
        let url = Url::parse(&format!("{base}/oauth/token")).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
        });
        let proof = match &self.proof {
            Proof::Secret(secret) => {
                ClientProof::Secret(basic(&self.client_id, secret).map_err(|_| InvalidConfig::Credentials)?)
            }
            Proof::Key(key) => ClientProof::Key {
                client_id: self.client_id.clone(),
                issuer: self.issuer.clone(),
                key: Arc::clone(key),
            },
        };
        let http = match &self.http {
            Some(http) => http.clone(),
            None => Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .timeout(TIMEOUT)
                .build()
                .map_err(InvalidConfig::Http)?,
        };
        let (scope, resources) = (self.scope.as_ref().map(Scope::to_string), self.resources.clone());
        Ok(TokenRequest { url: url.ok_or(InvalidConfig::Url)?, http, proof, scope, resources })
    }
}

impl fmt::Debug for ServiceTokenConfig {
    /// Without the secret, and without URLs: as long as they aren't parsed, they may hold another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTokenConfig")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}
