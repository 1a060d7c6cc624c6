//! Space that is kept for a start on a full disk. The engine needs some to open a file at all, and a start writes a little.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::statvfs;

/// How much: 32 KiB for the index of the log, and some pages for what a start writes.
const SIZE: u64 = 256 * 1_024;

/// A file beside the database that only takes up space.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// The reserve of the database at `path`: the same name with `.reserve`.
    pub(super) fn of(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".reserve");
        Self(name.into())
    }

    /// Gives the space up if the disk has less than that. To be called at a start, before the database is opened.
    pub(super) fn give_up_if_needed(&self) {
        if self.has_room(1) || fs::remove_file(&self.0).is_err() {
            return;
        }
        tracing::error!(
            "the disk of {} is full; the service starts with the space that it had reserved there; free some space, or writes \
             fail soon",
            self.0.display()
        );
    }

    /// Takes the space up, unless the disk is nearly full. Returns whether it is taken now.
    pub(super) fn keep(&self) -> bool {
        if fs::metadata(&self.0).is_ok_and(|file| file.len() == SIZE) {
            return true;
        }
        if !self.has_room(4) {
            return false;
        }
        // A part is left by a process that was killed here.
        let _ = fs::remove_file(&self.0);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.0);
        let Ok(mut file) = made else { return false };
        let written = io::copy(&mut io::repeat(0).take(SIZE), &mut file).and_then(|_| file.sync_all());
        if written.is_err() {
            // A part would only take space away.
            let _ = fs::remove_file(&self.0);
        }
        written.is_ok()
    }

    /// Whether the disk has that many times the reserve left. Yes, when it doesn't say.
    fn has_room(&self, times: u64) -> bool {
        let folder =
            self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let left = statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        left.map_or(true, |left| left >= times * SIZE)
    }
}
