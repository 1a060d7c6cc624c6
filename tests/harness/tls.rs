//! The test's own certificates, and TLS clients for them.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use countermark::issuer::introspection::{IntrospectionClient, IntrospectionConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, date_time_ymd,
};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use zeroize::Zeroizing;

use crate::world::BILLING;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority's own certificate, in PEM.
    pub fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server at 127.0.0.1 with the common name `name`.
    pub fn server(&self, name: &str) -> Leaf {
        self.sign(name, ExtendedKeyUsagePurpose::ServerAuth, 4000)
    }

    /// A client certificate that expires at the beginning of `year`.
    pub fn client(&self, year: i32) -> Leaf {
        self.sign("client", ExtendedKeyUsagePurpose::ClientAuth, year)
    }

    fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose, year: i32) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![purpose];
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut whole = DistinguishedName::new();
    whole.push(DnType::CommonName, name);
    whole
}

impl Leaf {
    /// Writes both files into `folder` as a renewal would. Returns the settings that name them.
    pub fn write(&self, folder: &Path) -> [(&'static str, String); 2] {
        let (certificate, key) = (folder.join("server.pem"), folder.join("server.key"));
        replace(&certificate, &self.certificate, 0o644);
        replace(&key, &self.key, 0o600);
        let text = |path: &Path| path.display().to_string();
        [("AUTH_TLS_CERT_FILE", text(&certificate)), ("AUTH_TLS_KEY_FILE", text(&key))]
    }
}

/// Replaces a file in one step, by renaming.
pub fn replace(path: &Path, text: &str, mode: u32) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).unwrap();
    fs::rename(&draft, path).unwrap();
}

/// A client that trusts `authority` and presents the certificate `own`.
pub fn client(authority: &Authority, own: Option<&Leaf>) -> Client {
    builder(authority, own).build().unwrap()
}

/// The builder of [`client`], for more options.
pub fn builder(authority: &Authority, own: Option<&Leaf>) -> ClientBuilder {
    let root = Certificate::from_pem(authority.root().as_bytes()).unwrap();
    let builder = Client::builder().no_proxy().tls_certs_only([root]);
    match own {
        Some(Leaf { certificate, key }) => {
            builder.identity(Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap())
        }
        None => builder,
    }
}

/// The introspection client of [`BILLING`], over TLS.
pub fn introspection(address: SocketAddr, authority: &Authority, own: Option<&Leaf>) -> IntrospectionClient {
    let secret = Zeroizing::new(BILLING.1.to_owned());
    let config = IntrospectionConfig::new(format!("https://{address}"), BILLING.0, secret)
        .with_roots(authority.root())
        .with_deadline(std::time::Duration::from_secs(2));
    let config = match own {
        Some(Leaf { certificate, key }) => {
            config.with_identity(certificate.as_str(), Zeroizing::new(key.clone().into_bytes()))
        }
        None => config,
    };
    IntrospectionClient::new(&config).unwrap()
}
