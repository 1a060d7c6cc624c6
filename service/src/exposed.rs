//! Files that hold a secret, or what only this program should read, and that others on this machine can read.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The files of `paths` that others can read, each with its mode. A file that is not there is left out.
pub fn exposed<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| -> io::Result<u32> { Ok(fs::metadata(path)?.mode() & 0o777) };
    let of_others =
        |path: &'a Path| mode(path).ok().filter(|mode| mode & 0o006 != 0).map(|mode| (path.to_owned(), mode));
    paths.into_iter().filter_map(of_others).collect()
}

/// Warns of each of them.
pub fn warn_of_exposed<'a>(paths: impl IntoIterator<Item = &'a Path>) {
    for (path, mode) in exposed(paths) {
        let (path, mode) = (path.display(), format!("{mode:04o}"));
        tracing::warn!(%path, %mode, "others can read or write this file; run `chmod o-rwx` on it");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_or_write_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert_eq!(exposed([path.as_path()]), []);
        fs::write(&path, "x").unwrap();
        for (mode, is_exposed) in
            [(0o600, false), (0o640, false), (0o644, true), (0o604, true), (0o602, true)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let expected = if is_exposed { vec![(path.clone(), mode)] } else { Vec::new() };
            assert_eq!(exposed([path.as_path()]), expected, "{mode:o}");
        }
    }
}
