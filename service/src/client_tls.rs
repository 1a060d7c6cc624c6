//! TLS towards another service: the trusted root certificates, and our client certificate.
//!
//! The files are read once, at the start. The files of a [port](super::tls) are reloaded.

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

use super::{
    settings::{SettingError, Settings},
    tls::{Contents, Names, UnusableFile, Which, missing, read, roots},
};

/// The files' contents in PEM, checked.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// The trusted root certificates. `None`: the system's roots are trusted.
    pub roots: Option<Vec<u8>>,
    /// The client certificate and its key.
    pub identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl ClientTls {
    /// Reads and checks the files that the settings name. [`Names::client_ca`] is the setting of the trusted roots
    /// here.
    ///
    /// # Errors
    /// [`SettingError`] when a file can't be used, when other users can read the key, or when one of certificate and
    /// key is missing.
    pub fn read(settings: &Settings, names: Names) -> Result<Self, SettingError> {
        let path = |name| settings.optional(name).map(PathBuf::from);
        let refused = |UnusableFile(which, problem)| settings.refuse(names.of(which), problem.to_string());
        let trusted = path(names.client_ca).map(|path| {
            let pem = read(Which::ClientCa, &path)?;
            roots(&pem).map(|_| pem.to_vec())
        });
        let roots = trusted.transpose().map_err(|problem| refused(UnusableFile(Which::ClientCa, problem)))?;
        let identity = match (path(names.certificate), path(names.key)) {
            (None, None) => None,
            (Some(_), None) => return Err(missing(names.key, names.certificate)),
            (None, Some(_)) => return Err(missing(names.certificate, names.key)),
            (Some(certificate), Some(key)) => {
                let contents = Contents::read(&certificate, &key, None).map_err(refused)?;
                contents.check().map_err(refused)?;
                Some((contents.certificate, contents.key))
            }
        };
        Ok(Self { roots, identity })
    }
}

impl fmt::Debug for ClientTls {
    /// Leaves out the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("has_roots", &self.roots.is_some())
            .field("has_identity", &self.identity.is_some())
            .finish()
    }
}
