//! The master key: 32 random bytes in a file. Only the owner may write the file; the owner and the group may read it.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark::random::Random;
use zeroize::Zeroizing;

/// The key that seals all secrets at rest.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// The master key can't be read or created. `Display` says what is wrong with the file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file does not exist, and may not be created.
    #[error("does not exist; make it with `auth-service init`, or copy it from the machine that has it")]
    Absent,
    /// The file does not exist, and the database holds keys that are sealed with it. Another key would open none of them.
    #[error(
        "does not exist, and the database holds keys that are sealed with it; put a copy of the file back. Without one, \
         docs/runbook.md says what is left: \"The master key is lost\""
    )]
    Lost,
    /// Other users can read the file.
    #[error("can be read by others (mode {0:04o}); run `chmod 0600` on it")]
    Exposed(u32),
    /// The file doesn't hold 32 bytes in base64.
    #[error("does not hold 32 bytes in base64")]
    Malformed,
    /// A file operation failed.
    #[error("can't be used: {0}")]
    Io(#[from] io::Error),
    /// The system gave no random bytes.
    #[error("can't be made: {0}")]
    Random(#[from] countermark::random::Unavailable),
}

impl MasterKey {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the key from the file at `path`.
    ///
    /// # Errors
    /// [`MasterKeyError`] when the file is absent, malformed, unreadable, or readable by other users.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(MasterKeyError::Absent),
            Err(error) => return Err(error.into()),
        };
        let mode = file.metadata()?.mode() & 0o777;
        // The owner may do anything. The group may read, because mounted volumes add that. Others may do nothing.
        if mode & 0o037 != 0 {
            return Err(MasterKeyError::Exposed(mode));
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text)?;
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| MasterKeyError::Malformed)?);
        let bytes = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Reads the key from the file at `path`, and creates the file first when it is absent. If two processes create
    /// it at once, one wins and both get the same key.
    ///
    /// # Errors
    /// [`MasterKeyError`] when the file can't be created, or for the reasons of [`read`](Self::read).
    pub fn read_or_make(path: &Path, random: &dyn Random) -> Result<Self, MasterKeyError> {
        match Self::read(path) {
            Err(MasterKeyError::Absent) => {}
            found => return found,
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes()?);
        // The key is written to a draft file, which is then linked to `path`. So a reader never sees half a key. If
        // `path` exists already, another process has created its key there.
        let suffix = u64::from_ne_bytes(random.bytes()?);
        let draft = path.with_extension(format!("{suffix:016x}"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(STANDARD.encode(*bytes).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
            Ok(()) | Err(_) => Self::read(path),
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use countermark::random::SystemRandom;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/master.key");
        let made = MasterKey::read_or_make(&path, &SystemRandom).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(MasterKey::read_or_make(&path, &SystemRandom).unwrap().as_bytes(), made.as_bytes());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::read_or_make(&path, &SystemRandom).unwrap();
        for (mode, is_safe) in
            [(0o600, true), (0o640, true), (0o400, true), (0o644, false), (0o660, false), (0o604, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(MasterKey::read(&path).is_ok(), is_safe, "{mode:o}");
        }
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        assert!(matches!(MasterKey::read(&path), Err(MasterKeyError::Absent)));
        fs::write(&path, "short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(MasterKey::read(&path), Err(MasterKeyError::Malformed)));
    }
}
