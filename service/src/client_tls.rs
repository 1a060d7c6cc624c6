//! TLS towards another service: which files hold the roots that are believed, and the certificate that is shown.
//!
//! Unlike those of a [port](super::tls) they are read at the start alone.

use std::{fmt, path::PathBuf};

use zeroize::Zeroizing;

use super::{
    settings::{SettingError, Settings},
    tls::{Contents, Names, Refused, Which, missing, read, roots},
};

/// What is believed and shown, in PEM; found to be usable.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// The roots that are believed, instead of the system's.
    pub roots: Option<Vec<u8>>,
    /// The certificate that is shown, and its key.
    pub identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl ClientTls {
    /// Reads and checks the files that the settings name; here [`Names::client_ca`] are the roots that are believed.
    ///
    /// # Errors
    /// [`SettingError`] when a file can't be used, others can read the key, or a part is missing.
    pub fn read(settings: &Settings, names: Names) -> Result<Self, SettingError> {
        let path = |name| settings.optional(name).map(PathBuf::from);
        let refused = |Refused(which, problem)| settings.refuse(names.of(which), problem.to_string());
        let believed = path(names.client_ca).map(|path| {
            let pem = read(Which::ClientCa, &path)?;
            roots(&pem).map(|_| pem.to_vec())
        });
        let roots = believed.transpose().map_err(|problem| refused(Refused(Which::ClientCa, problem)))?;
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
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("has_roots", &self.roots.is_some())
            .field("has_identity", &self.identity.is_some())
            .finish()
    }
}
