//! The master key: 32 random bytes in a file that nobody but its owner, and at most its group, can read.

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

/// What everything at rest is sealed with.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// The master key can't be had. Displays as what is wrong with the file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// There is no file, and none may be made.
    #[error("does not exist; make it with `auth-service init`, or copy it from the machine that has it")]
    Absent,
    /// Others can read it.
    #[error("can be read by others (mode {0:04o}); run `chmod 0600` on it")]
    Exposed(u32),
    /// It doesn't hold 32 bytes in base64.
    #[error("does not hold 32 bytes in base64")]
    Malformed,
    /// The file system refuses.
    #[error("can't be used: {0}")]
    Io(#[from] io::Error),
    /// There is no randomness to be had.
    #[error("can't be made: {0}")]
    Random(#[from] countermark::random::Unavailable),
}

impl MasterKey {
    /// The key of those bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key in the file at `path`.
    ///
    /// # Errors
    /// [`MasterKeyError`] when there is none, or it is not safe there.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(MasterKeyError::Absent),
            Err(error) => return Err(error.into()),
        };
        let mode = file.metadata()?.mode() & 0o777;
        // The owner may do anything, the group may read (mounted volumes add that), others nothing.
        if mode & 0o037 != 0 {
            return Err(MasterKeyError::Exposed(mode));
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text)?;
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| MasterKeyError::Malformed)?);
        let bytes = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Malformed)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The key in the file at `path`, made first when there is none. Of two that make it at once one wins, and both get
    /// the same key.
    ///
    /// # Errors
    /// [`MasterKeyError`] when it can't be made, or is not safe there.
    pub fn read_or_make(path: &Path, random: &dyn Random) -> Result<Self, MasterKeyError> {
        match Self::read(path) {
            Err(MasterKeyError::Absent) => {}
            found => return found,
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes()?);
        // Written whole under another name, then linked: a reader never sees half a key, and a link that is already
        // there is somebody else's key.
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
