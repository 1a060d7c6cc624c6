//! The mint watermark that this process has stored, in memory.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, MutexGuard};

use crate::store::minted::MintMark;

/// The watermark that this process has stored.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    latest: ArcSwapOption<MintMark>,
    /// Held while the watermark is stored, so that requests that come at once write once.
    storing: Mutex<()>,
}

impl Watermark {
    /// Whether the stored watermark is as high as `mark`.
    pub(super) fn covers(&self, mark: &MintMark) -> bool {
        let latest = self.latest.load();
        latest.as_ref().is_some_and(|latest| latest.kid == mark.kid && mark.up_to <= latest.up_to)
    }

    /// Waits until no other request stores the watermark.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.storing.lock().await
    }

    /// Notes that `mark` is stored.
    pub(super) fn set(&self, mark: MintMark) {
        self.latest.store(Some(Arc::new(mark)));
    }
}
