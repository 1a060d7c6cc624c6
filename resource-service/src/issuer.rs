//! The way to the issuer: over HTTP for its keys, over gRPC for what is revoked.

use countermark::issuer::introspection::IntrospectionConfig;
use reqwest::{Certificate, Client, Identity, Proxy, redirect::Policy};
use url::Url;
use zeroize::Zeroizing;

use crate::config::{self, Config};

/// An HTTP client for the issuer's keys.
///
/// # Errors
/// When the certificates can't be used, or the system has no roots.
pub fn http(config: &Config) -> Result<Client, reqwest::Error> {
    // A redirect could lead to another origin's keys, so none is followed.
    // HTTP_PROXY and the like are for other programs of the machine. A proxy that answers could answer with keys of its own.
    let mut builder = Client::builder().no_proxy().redirect(Policy::none()).timeout(config.jwks_timeout);
    if let Some(proxy) = &config.jwks_proxy {
        builder = builder.proxy(Proxy::all(proxy.clone())?);
    }
    if let Some(roots) = &config.auth_tls.roots {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(roots)?);
    }
    if let Some((certificate, key)) = &config.auth_tls.identity {
        let both = Zeroizing::new([certificate.as_slice(), b"\n", key].concat());
        builder = builder.identity(Identity::from_pem(&both)?);
    }
    builder.build()
}

/// The issuer's gRPC port, and who asks there.
#[must_use]
pub fn grpc(config: &Config, url: &Url, client: &config::Client) -> IntrospectionConfig {
    let secret = Zeroizing::new(client.secret.expose().to_owned());
    let mut issuer = IntrospectionConfig::new(url.as_str(), client.id.as_str(), secret);
    if let Some(roots) = &config.auth_tls.roots {
        issuer = issuer.with_roots(roots.as_slice());
    }
    if let Some((certificate, key)) = &config.auth_tls.identity {
        issuer = issuer.with_identity(certificate.as_slice(), key.clone());
    }
    issuer
}
