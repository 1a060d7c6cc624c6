//! TLS on a port: which files hold its certificate, its key and whose client certificates it takes, and how it goes on
//! with new ones while it runs.
//!
//! The files are read at the start, and again every second: whatever replaces them needs to tell nobody. New connections
//! get the new certificate, open ones go on. Files that can't be used are refused at the start, and later logged once
//! while the old certificate stays.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::{self, CryptoProvider},
        pki_types::{
            CertificateDer, PrivateKeyDer, UnixTime,
            pem::{Error as PemError, PemObject},
        },
        server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
        time_provider::TimeProvider,
    },
};
use zeroize::Zeroizing;

use super::settings::{SettingError, Settings};
use countermark::clock::Clock;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A file that is larger holds no certificates, or more than anybody has.
const LARGEST_FILE: u64 = 1024 * 1024;

/// What is spoken on the encrypted connection, in the order of preference (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The settings that name one port's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// The certificate, with those that lead to the root behind it, in PEM.
    pub certificate: &'static str,
    /// Its private key, in PEM.
    pub key: &'static str,
    /// The roots of the client certificates that are taken; with it none gets in without one.
    pub client_ca: &'static str,
}

/// The files of one port, read once and found to be usable.
#[derive(Clone)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    contents: Arc<Contents>,
}

/// What the files held at one moment.
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Certificate,
    Key,
    ClientCa,
}

/// A file that can't be used.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Which, pub(super) Problem);

/// What is wrong with a file. Displays as the end of a sentence that names it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("is larger than 1 MiB")]
    TooLarge,
    #[error("can be read by others (mode {0:04o}); run `chmod 0600` on it")]
    Exposed(u32),
    #[error("holds no certificate in PEM")]
    NoCertificate,
    #[error("holds no private key in PEM")]
    NoKey,
    #[error("is not PEM: {0}")]
    Malformed(PemError),
    #[error("can't be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("can't be used: {0}")]
    UnusableRoots(#[from] VerifierBuilderError),
}

impl TlsFiles {
    /// Reads and checks the files that the settings name; `None` when they name none.
    ///
    /// # Errors
    /// [`SettingError`] when a file can't be used, others can read the key, or a part is missing.
    pub fn read(settings: &Settings, names: Names) -> Result<Option<Self>, SettingError> {
        let path = |name| settings.optional(name).map(PathBuf::from);
        let (certificate, key) = match (path(names.certificate), path(names.key)) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) if path(names.client_ca).is_some() => {
                let problem = format!("needs {} and {}, too", names.certificate, names.key);
                return Err(SettingError::new(names.client_ca, problem));
            }
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(missing(names.key, names.certificate)),
            (None, Some(_)) => return Err(missing(names.certificate, names.key)),
        };
        let client_ca = path(names.client_ca);
        let refused = |Refused(which, problem)| settings.refuse(names.of(which), problem.to_string());
        let contents = Contents::read(&certificate, &key, client_ca.as_deref()).map_err(refused)?;
        contents.check().map_err(refused)?;
        Ok(Some(Self { certificate, key, client_ca, contents: Arc::new(contents) }))
    }

    fn path(&self, which: Which) -> &Path {
        match which {
            Which::Certificate => &self.certificate,
            Which::Key => &self.key,
            Which::ClientCa => self.client_ca.as_deref().unwrap_or(Path::new("")),
        }
    }

    fn read_again(&self) -> Result<Contents, Refused> {
        Contents::read(&self.certificate, &self.key, self.client_ca.as_deref())
    }
}

impl fmt::Debug for TlsFiles {
    /// The paths alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("client_ca", &self.client_ca)
            .finish_non_exhaustive()
    }
}

impl Names {
    pub(super) fn of(self, which: Which) -> &'static str {
        match which {
            Which::Certificate => self.certificate,
            Which::Key => self.key,
            Which::ClientCa => self.client_ca,
        }
    }
}

pub(super) fn missing(absent: &'static str, present: &str) -> SettingError {
    SettingError::new(absent, format!("is not set, and {present} is; set both"))
}

impl Contents {
    pub(super) fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, Refused> {
        let file = |which, path| read(which, path).map_err(|problem| Refused(which, problem));
        Ok(Self {
            certificate: file(Which::Certificate, certificate)?.to_vec(),
            key: file(Which::Key, key)?,
            client_ca: client_ca.map(|path| file(Which::ClientCa, path)).transpose()?.map(|pem| pem.to_vec()),
        })
    }

    /// Whether a port could be served with it.
    pub(super) fn check(&self) -> Result<(), Refused> {
        self.server(&Provider::new(), None).map(drop)
    }

    /// How a port is served with it; client certificates are judged by `time`.
    fn server(&self, provider: &Provider, time: Option<Arc<dyn Clock>>) -> Result<ServerConfig, Refused> {
        let refused = |which| move |problem: Problem| Refused(which, problem);
        let chain = certificates(&self.certificate).map_err(refused(Which::Certificate))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let is_absent = matches!(error, PemError::NoItemsFound);
            Refused(Which::Key, if is_absent { Problem::NoKey } else { Problem::Malformed(error) })
        })?;
        let builder = match time {
            Some(clock) => ServerConfig::builder_with_details(Arc::clone(&provider.0), Arc::new(Time(clock))),
            None => ServerConfig::builder_with_provider(Arc::clone(&provider.0)),
        };
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Refused(Which::Certificate, error.into()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = roots(pem).map_err(refused(Which::ClientCa))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider.0));
                let verifier = verifier.build().map_err(|error| Refused(Which::ClientCa, error.into()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server =
            builder.with_single_cert(chain, key).map_err(|error| Refused(Which::Key, error.into()))?;
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        if self.client_ca.is_some() {
            // A session that is taken up again would let a client in whose certificate has expired since.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(server)
    }

    /// What tells these contents from others, without keeping the key.
    fn fingerprint(&self) -> Fingerprint {
        let parts =
            [&self.certificate, &*self.key, self.client_ca.as_ref().unwrap_or(&Vec::new())].map(|part| {
                let mut hash = [0; 32];
                hash.copy_from_slice(digest(&SHA256, part).as_ref());
                hash
            });
        Fingerprint::Contents(parts)
    }
}

pub(super) fn read(which: Which, path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // The owner may do anything, the group may read (mounted volumes add that), others nothing.
    let mode = metadata.mode() & 0o777;
    if which == Which::Key && mode & 0o037 != 0 {
        return Err(Problem::Exposed(mode));
    }
    if metadata.len() > LARGEST_FILE {
        return Err(Problem::TooLarge);
    }
    // Room for all of it at once: growing would leave a copy of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
    file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(Problem::Malformed)?;
    if chain.is_empty() { Err(Problem::NoCertificate) } else { Ok(chain) }
}

pub(super) fn roots(pem: &[u8]) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// The one crypto library.
struct Provider(Arc<CryptoProvider>);

impl Provider {
    fn new() -> Self {
        Self(Arc::new(crypto::aws_lc_rs::default_provider()))
    }
}

/// The clock that certificates are judged by.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Fingerprint {
    Contents([[u8; 32]; 3]),
    Unreadable(String),
}

/// One port's TLS, while it runs. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    provider: Provider,
    clock: Arc<dyn Clock>,
    server: ArcSwap<ServerConfig>,
}

impl Tls {
    /// TLS with those files; whether a client's certificate has expired is judged by `clock`.
    ///
    /// # Errors
    /// When the crypto library takes the files no more, which it took before.
    pub fn new(files: TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, UnusableFiles> {
        let provider = Provider::new();
        let server = files.contents.server(&provider, Some(Arc::clone(&clock)));
        let server = server.map_err(|Refused(which, problem)| {
            UnusableFiles(format!("{}: {problem}", files.path(which).display()))
        })?;
        Ok(Self(Arc::new(Inner { files, provider, clock, server: ArcSwap::from_pointee(server) })))
    }

    /// What takes the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.server.load_full())
    }

    /// Looks at the files every second, and goes on with what they hold, until the returned future is dropped.
    pub(super) async fn keep_current(&self) {
        let mut seen = self.0.files.contents.fingerprint();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let (inner, last) = (Arc::clone(&self.0), seen.clone());
            // Off the workers: the files may lie on a network.
            if let Ok(now) = tokio::task::spawn_blocking(move || inner.look(&last)).await {
                seen = now;
            }
        }
    }
}

impl Inner {
    fn look(&self, last: &Fingerprint) -> Fingerprint {
        let read = self.files.read_again();
        let now = match &read {
            Ok(contents) => contents.fingerprint(),
            Err(Refused(_, problem)) => Fingerprint::Unreadable(problem.to_string()),
        };
        if now == *last {
            return now;
        }
        let server = read.and_then(|contents| contents.server(&self.provider, Some(Arc::clone(&self.clock))));
        let path = self.files.certificate.display();
        match server {
            Ok(server) => {
                self.server.store(Arc::new(server));
                tracing::info!(tls.certificate = %path, "certificate read anew");
            }
            Err(Refused(which, problem)) => {
                let file = self.files.path(which).display();
                tracing::warn!(tls.certificate = %path, tls.file = %file, %problem, "the old certificate stays");
            }
        }
        now
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

/// Files that were usable, and are no more. Displays as a sentence that names the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableFiles(String);
