//! [`BundleFile`]: a bundle on disk. It is read at the start, and written when something has changed and at the stop.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Bundle, BundleKey, Followed, InvalidBundle};
use crate::{
    clock::Clock,
    verify::{Audience, Issuer, Position},
};

/// Largest file that is read: it holds eight million revocations.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Interval between two looks for a change.
const LOOK: Duration = Duration::from_secs(1);

/// A bundle is written again when this part of its life has passed, so that a crash leaves a young bundle behind.
const PART_OF_TTL: u32 = 24;

/// Writing may take one part in this many of the time.
const SHARE: u32 = 20;

/// A verifier's bundle on disk.
#[derive(Clone, Debug)]
pub(super) struct BundleFile {
    /// Its path.
    pub(super) path: PathBuf,
    /// The key that authenticates it.
    pub(super) key: BundleKey,
    /// The issuer of its keys and revocations.
    pub(super) issuer: Issuer,
    /// The audience of this verifier.
    pub(super) audience: Audience,
    /// How long it can be used after the issuer's last answer.
    pub(super) ttl: Duration,
}

/// The content that was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    position: Option<Position>,
    keys: Option<String>,
}

/// Why there is no bundle to start from.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBundle {
    /// There is no file.
    #[error("there is none")]
    Absent,
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(io::Error),
    /// It is of no use.
    #[error(transparent)]
    Invalid(#[from] InvalidBundle),
}

impl BundleFile {
    /// Reads the bundle to start from. Blocks.
    ///
    /// # Errors
    /// [`NoBundle`] names the reason.
    pub(super) fn load(&self, clock: &dyn Clock) -> Result<Bundle, NoBundle> {
        let file = File::open(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoBundle::Absent,
            _ => NoBundle::Unreadable(error),
        })?;
        let mut bytes = Vec::new();
        let read = io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES), &mut bytes);
        read.map_err(NoBundle::Unreadable)?;
        Ok(Bundle::open(&bytes, &self.key, (&self.issuer, &self.audience), clock.now())?)
    }

    /// Writes the bundle whenever something has changed, until `stop`, and then once more. It writes nothing before the issuer has
    /// answered.
    pub(super) async fn keep(
        self,
        followed: Followed,
        clock: Arc<dyn Clock>,
        stop: impl Future<Output = ()>,
    ) {
        let keeping = async {
            let (mut written, mut is_failing) = (None, false);
            loop {
                tokio::time::sleep(LOOK).await;
                let mark = Mark::of(&followed);
                if !is_due(written.as_ref(), &mark, clock.monotonic(), self.ttl) {
                    continue;
                }
                let began = clock.monotonic();
                match self.write(&followed, &clock).await {
                    Ok(true) => (written, is_failing) = (Some((mark, began)), false),
                    Ok(false) => {}
                    Err(error) if is_failing => tracing::debug!(%error, "the bundle can't be written"),
                    Err(error) => {
                        tracing::warn!(%error, bundle.path = %self.path.display(), "the bundle can't be written");
                        is_failing = true;
                    }
                }
                tokio::time::sleep(clock.monotonic().saturating_sub(began) * SHARE).await;
            }
        };
        tokio::select! {
            () = keeping => {}
            () = stop => {}
        }
        if let Err(error) = self.write(&followed, &clock).await {
            tracing::warn!(%error, bundle.path = %self.path.display(), "the bundle can't be written");
        }
    }

    /// Writes the state of now. `false` when there is nothing to write yet.
    async fn write(&self, followed: &Followed, clock: &Arc<dyn Clock>) -> io::Result<bool> {
        let (file, followed, clock) = (self.clone(), followed.clone(), Arc::clone(clock));
        let written = tokio::task::spawn_blocking(move || {
            match Bundle::of(&followed, (&file.issuer, &file.audience), file.ttl, &*clock) {
                Some(bundle) => replace(&file.path, &bundle.seal(&file.key)).map(|()| true),
                None => Ok(false),
            }
        });
        written.await.map_err(io::Error::other)?
    }
}

impl Mark {
    fn of(followed: &Followed) -> Self {
        let keys = followed.keys.held().and_then(|keys| keys.version().map(str::to_owned));
        Self { position: followed.freshness.position(), keys }
    }
}

fn is_due(written: Option<&(Mark, Duration)>, mark: &Mark, now: Duration, ttl: Duration) -> bool {
    written.is_none_or(|(last, at)| last != mark || now.saturating_sub(*at) > ttl / PART_OF_TTL)
}

/// Replaces the file with `content`, whole or not at all, readable by its owner alone.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let written = write_new(&draft, content).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The first error matters, not this one.
        drop(fs::remove_file(&draft));
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
