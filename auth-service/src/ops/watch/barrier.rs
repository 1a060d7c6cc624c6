//! The barrier: waits until a revocation holds at every verifier that watches, and names those at which it may not hold.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    verify::{Audience, Position, Tag},
};

pub use super::confirmation::{Confirmation, Incomplete, Revoked};
use super::{Watch, waits::Look};
use crate::{
    domain::{session::Session, watcher::Watcher},
    ops::{Context, Fault},
    store::{StoreError, revocations::LogEntry},
};

/// For so long after a recovery no confirmation is complete. By then every verifier is stale that was seen in the lost part
/// alone, unless its `stale_after` is longer: see [`Watcher::honours`].
const AFTER_RECOVERY: Duration = Duration::from_mins(1);

/// The poll interval, which other processes' watchers are read at, too.
const LOOK: Duration = Duration::from_millis(10);

impl Watch {
    /// Waits until each watcher honours the revocation: it has acknowledged the entry, or it has been silent for so long
    /// that it refuses each token that it can't ask about. After 5 s the other watchers are named. When too many wait, nobody
    /// waits any more: 8 of an account, 1,024 in all.
    ///
    /// # Errors
    /// [`Fault::Store`] when the database fails. Then it is not known where the revocation holds.
    pub async fn confirm(&self, revoked: Revoked) -> Result<Confirmation, Fault> {
        let Some(mut place) = self.waits.join(revoked, self.context.clock.monotonic()) else {
            let (unconfirmed, unwatched) = (Vec::new(), Vec::new());
            return Ok(Confirmation { unconfirmed, unwatched, incomplete: Some(Incomplete::Busy) });
        };
        let _looking = tokio::select! {
            biased;
            Ok(confirmation) = &mut place.answer => return Ok(confirmation),
            turn = self.waits.turn() => turn,
        };
        loop {
            self.waits.answer(&self.look()?);
            if let Ok(confirmation) = place.answer.try_recv() {
                return Ok(confirmation);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&self) -> Result<Look, Fault> {
        let Context { clock, feed, store, .. } = &self.context;
        let watchers = self.watchers()?;
        Ok(Look {
            unwatched: self.unwatched(&watchers),
            watchers,
            log_id: feed.head().log_id,
            went_back: store.went_back().is_some(),
            was_recovered: self.was_recovered_just_now()?,
            now: clock.monotonic(),
        })
    }

    /// The audiences of a login's tokens for which none of `watchers` verifies.
    fn unwatched(&self, watchers: &[Watcher]) -> Vec<Audience> {
        let registry = self.context.registry.now();
        let is_watched = |audience: &&Audience| {
            // One that is gone and stale says nothing of others that verify for its audiences.
            watchers.iter().filter(|watcher| watcher.is_connected || !watcher.is_stale()).any(|watcher| {
                let client = registry.client(&watcher.who.client);
                client.is_some_and(|client| client.audiences.contains(audience))
            })
        };
        self.context.policy.audiences.iter().filter(|audience| !is_watched(audience)).cloned().collect()
    }

    /// Whether watchers that were seen in the lost part alone may still accept tokens. They are not known here.
    fn was_recovered_just_now(&self) -> Result<bool, Fault> {
        // A wall clock that is set ahead meanwhile doesn't end the minute.
        if self.context.feed.moved_within(AFTER_RECOVERY) {
            return Ok(true);
        }
        let now = self.context.clock.now();
        let span = |at: Timestamp| Duration::from_millis((now - at).unsigned_abs()) < AFTER_RECOVERY;
        Ok(self.context.store.recovered_at()?.is_some_and(span))
    }

    /// All that was revoked until now. It stands for a revocation that another request has made.
    pub fn revoked_so_far(&self) -> Result<Revoked, Fault> {
        Ok(self.context.revoked_so_far()?)
    }
}

impl Context {
    /// Applies the entries that were just written to the log. Without any, a request that hung up may have written them:
    /// then the log is read.
    pub(in crate::ops) fn applied(&self, entries: &[LogEntry]) -> Result<Revoked, StoreError> {
        self.feed.apply(entries);
        let log_id = self.feed.head().log_id;
        let at = |last: &LogEntry| {
            Ok(Revoked { position: Position { log_id, seq: last.seq, tag: last.tag }, account: None })
        };
        entries.last().map_or_else(|| self.revoked_so_far(), at)
    }

    pub(in crate::ops) fn revoked_so_far(&self) -> Result<Revoked, StoreError> {
        self.feed.catch_up()?;
        Ok(Revoked { position: self.feed.head(), account: None })
    }

    /// The entry by which a session ended. All that was revoked until now, when that is not known.
    pub(in crate::ops) fn ended_by(&self, session: &Session) -> Result<Revoked, StoreError> {
        let so_far = self.revoked_so_far()?;
        // A number without its entry would be waited for in vain.
        let seq = session.ended_by.map_or(so_far.position.seq, |seq| seq.min(so_far.position.seq));
        let position = Position { log_id: so_far.position.log_id, seq, tag: Tag::UNKNOWN };
        Ok(Revoked { position, account: Some(session.account) })
    }
}
