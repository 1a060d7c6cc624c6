//! [`IntrospectionConfig`]: the issuer's gRPC port, the client that asks, and the deadline.

use std::{fmt, time::Duration};

use http::{HeaderValue, Uri};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use crate::issuer::credentials::basic;

/// Deadline of a call, unless another one is set.
const DEADLINE: Duration = Duration::from_secs(3);

/// Silence after which a connection is probed.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(20);

/// Silence after the probe after which it is closed.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The issuer's gRPC port, the client that asks, and the deadline.
#[derive(Clone)]
pub struct IntrospectionConfig {
    endpoint: String,
    client_id: String,
    client_secret: Zeroizing<String>,
    pub(super) deadline: Duration,
    roots: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

/// A configuration that no client can be made of.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The endpoint is not `http://host:port` or `https://host:port`.
    #[error("the endpoint is not a URL like http://host:50051: no path, no query, no user")]
    Endpoint,
    /// The credentials can't be sent. This never happens.
    #[error("the credentials can't be sent")]
    Credentials,
    /// What was given as root certificates holds none.
    #[error("no certificate in PEM among the root certificates")]
    Roots,
    /// TLS can't be set up: the system has no root certificates, or the client's certificate or key can't be used.
    #[error("TLS can't be set up: {0}")]
    Tls(#[source] tonic::transport::Error),
}

crate::sentence::debug_is_sentence!(InvalidConfig);

impl IntrospectionConfig {
    /// Asks the issuer at `endpoint`, the URL of its gRPC port, as the client of that id and secret.
    #[must_use]
    pub fn new(
        endpoint: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: Zeroizing<String>,
    ) -> Self {
        let (endpoint, client_id) = (endpoint.into(), client_id.into());
        Self { endpoint, client_id, client_secret, deadline: DEADLINE, roots: None, identity: None }
    }

    /// Gives each call that long, all tries of it together, instead of 3 s.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Verifies an `https` issuer by these root certificates, in PEM, instead of the system's.
    #[must_use]
    pub fn with_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Shows this certificate to an `https` issuer that asks for one, with the key that it is of, both in PEM. Read them
    /// anew, and make another client, when they are renewed.
    #[must_use]
    pub fn with_identity(mut self, certificate: impl Into<Vec<u8>>, key: Zeroizing<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key));
        self
    }

    /// The issuer's end of the connection.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, InvalidConfig> {
        let uri: Uri = self.endpoint.parse().map_err(|_| InvalidConfig::Endpoint)?;
        let is_plain = matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let endpoint = Endpoint::from(uri.clone())
            .connect_timeout(self.deadline)
            .http2_keep_alive_interval(KEEP_ALIVE_AFTER)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        match uri.scheme_str() {
            Some("http") if is_plain => Ok(endpoint),
            Some("https") if is_plain => endpoint.tls_config(self.tls()?).map_err(InvalidConfig::Tls),
            Some(_) | None => Err(InvalidConfig::Endpoint),
        }
    }

    fn tls(&self) -> Result<ClientTlsConfig, InvalidConfig> {
        let tls = ClientTlsConfig::new().timeout(self.deadline);
        let tls = match &self.identity {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        };
        match &self.roots {
            None => Ok(tls.with_native_roots()),
            // Without this look an empty file would only show at the first call, as an unknown issuer.
            Some(pem) if has_certificate(pem) => Ok(tls.ca_certificate(Certificate::from_pem(pem))),
            Some(_) => Err(InvalidConfig::Roots),
        }
    }

    /// The client's secret, to derive other keys from.
    #[cfg(feature = "watch")]
    pub(crate) fn client_secret(&self) -> &str {
        &self.client_secret
    }

    pub(crate) fn authorization(&self) -> Result<HeaderValue, InvalidConfig> {
        basic(&self.client_id, &self.client_secret).map_err(|_| InvalidConfig::Credentials)
    }
}

fn has_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}

impl fmt::Debug for IntrospectionConfig {
    /// Without the secret, and without the endpoint: as long as it isn't parsed, it may hold another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionConfig")
            .field("client_id", &self.client_id)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
