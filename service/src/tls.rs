//! TLS on a port: its certificate, its key, the roots of client certificates, and their replacement while the port is
//! open.
//!
//! The files are read at the start and again every second, so no signal is needed after a change. New connections use
//! the new certificate; open connections go on. Unusable files are refused at the start. Later, they are logged once,
//! and the old certificate stays in use.

mod validity;

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
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

/// Poll interval of the files.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum size of a file, in bytes. A larger file is not a certificate file.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Application protocols, in order of preference (ALPN, RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The names of the settings for one port's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// The setting of the certificate file: PEM, followed by the intermediate certificates.
    pub certificate: &'static str,
    /// The setting of the private key file, in PEM.
    pub key: &'static str,
    /// The setting of the file of root certificates for clients. When it is set, every client must present a
    /// certificate.
    pub client_ca: &'static str,
}

/// The files of one port, read and checked.
#[derive(Clone)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    contents: Arc<Contents>,
}

/// The contents of the files at one moment.
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Certificate,
    Key,
    ClientCa,
}

/// A file that can't be used, and the reason.
#[derive(Debug)]
pub(super) struct UnusableFile(pub(super) Which, pub(super) Problem);

/// The problem with a file. `Display` completes a sentence that names the file.
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
    /// Reads and checks the files that the settings name. `None` when they name none.
    ///
    /// # Errors
    /// [`SettingError`] when a file can't be used, when other users can read the key, or when one of certificate and
    /// key is missing.
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
        let refused = |UnusableFile(which, problem)| settings.refuse(names.of(which), problem.to_string());
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

    fn read_again(&self) -> Result<Contents, UnusableFile> {
        Contents::read(&self.certificate, &self.key, self.client_ca.as_deref())
    }
}

impl fmt::Debug for TlsFiles {
    /// Shows only the paths.
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
    pub(super) fn read(
        certificate: &Path,
        key: &Path,
        client_ca: Option<&Path>,
    ) -> Result<Self, UnusableFile> {
        let file = |which, path| read(which, path).map_err(|problem| UnusableFile(which, problem));
        Ok(Self {
            certificate: file(Which::Certificate, certificate)?.to_vec(),
            key: file(Which::Key, key)?,
            client_ca: client_ca.map(|path| file(Which::ClientCa, path)).transpose()?.map(|pem| pem.to_vec()),
        })
    }

    /// Checks that a port could be served with these contents.
    pub(super) fn check(&self) -> Result<(), UnusableFile> {
        self.server(&Provider::new(), None).map(drop)
    }

    /// Builds the server configuration. `time` decides whether client certificates have expired.
    fn server(
        &self,
        provider: &Provider,
        time: Option<Arc<dyn Clock>>,
    ) -> Result<ServerConfig, UnusableFile> {
        let refused = |which| move |problem: Problem| UnusableFile(which, problem);
        let chain = certificates(&self.certificate).map_err(refused(Which::Certificate))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let is_absent = matches!(error, PemError::NoItemsFound);
            UnusableFile(Which::Key, if is_absent { Problem::NoKey } else { Problem::Malformed(error) })
        })?;
        let builder = match time {
            Some(clock) => ServerConfig::builder_with_details(Arc::clone(&provider.0), Arc::new(Time(clock))),
            None => ServerConfig::builder_with_provider(Arc::clone(&provider.0)),
        };
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| UnusableFile(Which::Certificate, error.into()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = roots(pem).map_err(refused(Which::ClientCa))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider.0));
                let verifier =
                    verifier.build().map_err(|error| UnusableFile(Which::ClientCa, error.into()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server =
            builder.with_single_cert(chain, key).map_err(|error| UnusableFile(Which::Key, error.into()))?;
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        if self.client_ca.is_some() {
            // A resumed session would let in a client whose certificate has expired meanwhile, so sessions are not
            // resumed.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(server)
    }

    /// A fingerprint that detects changes, so that the key need not be kept for comparison.
    /// The end of the first certificate of the chain, which is the port's own, in seconds since 1970.
    fn valid_until(&self) -> Option<i64> {
        validity::not_after(certificates(&self.certificate).ok()?.first()?)
    }

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
    // The owner may do anything. The group may read, because mounted volumes add that. Others may do nothing.
    let mode = metadata.mode() & 0o777;
    if which == Which::Key && mode & 0o037 != 0 {
        return Err(Problem::Exposed(mode));
    }
    if metadata.len() > LARGEST_FILE {
        return Err(Problem::TooLarge);
    }
    // The whole capacity is reserved at once. A growing buffer would leave copies of the key in memory.
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

/// The crypto library.
struct Provider(Arc<CryptoProvider>);

impl Provider {
    fn new() -> Self {
        Self(Arc::new(crypto::aws_lc_rs::default_provider()))
    }
}

/// The clock for the validity of certificates.
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

/// The TLS state of an open port. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    provider: Provider,
    clock: Arc<dyn Clock>,
    server: ArcSwap<ServerConfig>,
    /// The end of the certificate that is shown, in seconds since 1970; 0 when it can't be read.
    valid_until: AtomicI64,
}

impl Tls {
    /// Creates the state from `files`. `clock` decides whether a client certificate has expired.
    ///
    /// # Errors
    /// [`UnusableFiles`] when the crypto library refuses the files. It accepted them before.
    pub fn new(files: TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, UnusableFiles> {
        let provider = Provider::new();
        let server = files.contents.server(&provider, Some(Arc::clone(&clock)));
        let server = server.map_err(|UnusableFile(which, problem)| {
            UnusableFiles(format!("{}: {problem}", files.path(which).display()))
        })?;
        let valid_until = AtomicI64::new(files.contents.valid_until().unwrap_or_default());
        let server = ArcSwap::from_pointee(server);
        Ok(Self(Arc::new(Inner { files, provider, clock, server, valid_until })))
    }

    /// The end of the certificate that is shown, in seconds since 1970.
    #[must_use]
    pub fn valid_until(&self) -> Option<i64> {
        Some(self.0.valid_until.load(Ordering::Relaxed)).filter(|&end| end != 0)
    }

    /// The acceptor for the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.server.load_full())
    }

    /// Reloads the files whenever they change, until the returned future is dropped.
    pub(super) async fn keep_current(&self) {
        let mut seen = self.0.files.contents.fingerprint();
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let (inner, last) = (Arc::clone(&self.0), seen.clone());
            // On a blocking thread, because the files may be on a network file system.
            if let Ok(now) = tokio::task::spawn_blocking(move || inner.reload_if_changed(&last)).await {
                seen = now;
            }
        }
    }
}

impl Inner {
    fn reload_if_changed(&self, last: &Fingerprint) -> Fingerprint {
        let read = self.files.read_again();
        let now = match &read {
            Ok(contents) => contents.fingerprint(),
            Err(UnusableFile(_, problem)) => Fingerprint::Unreadable(problem.to_string()),
        };
        if now == *last {
            return now;
        }
        let server = read.and_then(|contents| {
            let end = contents.valid_until().unwrap_or_default();
            contents.server(&self.provider, Some(Arc::clone(&self.clock))).map(|server| (server, end))
        });
        let path = self.files.certificate.display();
        match server {
            Ok((server, end)) => {
                self.server.store(Arc::new(server));
                self.valid_until.store(end, Ordering::Relaxed);
                tracing::info!(tls.certificate = %path, "certificate reloaded");
            }
            Err(UnusableFile(which, problem)) => {
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

/// Files that passed the first check can't be used. `Display` names the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableFiles(String);
