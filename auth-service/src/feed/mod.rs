//! State in memory that requests read instead of the database. It follows all writes to the database, also those of
//! other processes.
//!
//! - [`log`] — the newest entries of the revocation log
//! - [`watchers`] — watchers of this process
//! - [`remote_watchers`] — watchers of other processes
//! - [`registry`] — audiences and clients

pub mod log;
pub mod registry;
pub mod remote_watchers;
pub mod watchers;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countermark::{
    clock::{Clock, Timestamp},
    verify::{Position, Revocations, Seq, Tag},
};

use countermark_service::database::DatabaseError;

use crate::{
    domain::went_back::WentBack,
    store::{Store, StoreError, revocations::LogEntry},
};
use log::RecentLog;

/// Poll interval of the database. Changes by the command line must take effect within 50 ms.
const INTERVAL: Duration = Duration::from_millis(20);

/// An introspection holds all that was written this long before it, or earlier, at whatever process. Two polls, so that the
/// poll has mostly read the log already.
pub const INTROSPECTION_LAG: Duration = Duration::from_millis(40);

/// Maximum number of entries that are read at once.
const PORTION: u32 = 10_000;

/// Calls `catch_up` at each interval, until the returned future is dropped. Logs the first of several failures in a
/// row.
pub async fn follow<E: fmt::Display>(what: &str, catch_up: impl Fn() -> Result<(), E>) {
    let mut is_failing = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let outcome = catch_up();
        if let Err(error) = &outcome
            && !is_failing
        {
            tracing::error!(%error, "{what} can't be read");
        }
        is_failing = outcome.is_err();
    }
}

/// What happened to the log since this process read it.
enum Step {
    /// It went on.
    On,
    /// Another log took its place, or none was read yet.
    OtherLog,
    /// It lacks what this process has applied.
    Back(WentBack),
}

/// The part of the revocation log that this process has applied. Clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    store: Store,
    revocations: Arc<Revocations>,
    log: Arc<RecentLog>,
    clock: Arc<dyn Clock>,
    /// An instant before the log was read last, in nanoseconds of the monotonic clock.
    read_at: Arc<AtomicU64>,
    /// When another log took the place of the one that was followed, likewise. 0: never.
    moved_at: Arc<AtomicU64>,
    /// Held while entries are added to `log`, so that they are added in order.
    catching_up: Arc<Mutex<()>>,
}

impl Feed {
    /// Opens the feed and applies the whole log.
    pub fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let feed = Self {
            store,
            clock,
            revocations: Arc::default(),
            log: Arc::default(),
            read_at: Arc::default(),
            moved_at: Arc::default(),
            catching_up: Arc::default(),
        };
        feed.catch_up()?;
        Ok(feed)
    }

    /// The revocations in force.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// The newest entries, for watchers.
    #[must_use]
    pub fn log(&self) -> &RecentLog {
        &self.log
    }

    /// Applies entries that this process has just written, and wakes the watchers. The entries are in force when this
    /// returns, so the caller can then answer.
    ///
    /// The log is read up to them, so that entries of other processes come first, and a log that went back is noticed. If that
    /// fails, the next poll reads it.
    pub fn apply(&self, entries: &[LogEntry]) {
        self.add(entries);
        if !entries.is_empty() {
            let _ = self.catch_up();
        }
    }

    /// Removes the entries that no valid token can match at `now`. Every process does so by itself: the database names an
    /// expired entry only to the process that deletes it.
    pub fn forget_expired(&self, now: Timestamp) {
        self.revocations.forget_expired(now, Duration::ZERO);
    }

    /// Applies the entries that this process has not applied yet. Entries that are in force stay in force, whatever the
    /// database says: a log that went back, or was replaced, only adds.
    pub fn catch_up(&self) -> Result<(), StoreError> {
        self.catch_up_in(&self.catching_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the log if it was read longer ago than [`INTROSPECTION_LAG`].
    ///
    /// While the database is gone, what is in memory holds: nobody can write a revocation then.
    ///
    /// # Errors
    /// [`StoreError`] when the log can't be read for another reason, or when the database is known to have lost writes: then this
    /// process doesn't know what was revoked.
    pub fn keep_within_lag(&self) -> Result<(), StoreError> {
        self.store.check_nothing_lost()?;
        let is_recent = || {
            let age = nanos(self.clock.monotonic()).saturating_sub(self.read_at.load(Ordering::Acquire));
            age <= nanos(INTROSPECTION_LAG)
        };
        if is_recent() {
            return Ok(());
        }
        let turn = self.catching_up.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_recent() {
            match self.catch_up_in(&turn) {
                Ok(()) | Err(StoreError::Database(DatabaseError::Gone(_))) => {}
                Err(error) => return Err(error),
            }
        }
        drop(turn);
        self.store.check_nothing_lost()
    }

    fn catch_up_in(&self, turn: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let began = nanos(self.clock.monotonic());
        self.apply_new(turn)?;
        self.read_at.store(began, Ordering::Release);
        Ok(())
    }

    fn apply_new(&self, turn: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        self.store.check_place()?;
        let (applied, head) = (self.log.head(), self.store.log_head()?);
        if applied.agrees(&head) {
            return Ok(());
        }
        match self.step(applied, head)? {
            Step::On => self.apply_after(turn, applied, head),
            Step::OtherLog => {
                if applied.log_id != head.log_id && applied != Position::default() {
                    self.moved_at.store(nanos(self.clock.monotonic()).max(1), Ordering::Release);
                }
                self.begin(turn, head)
            }
            Step::Back(found) => {
                self.store.report_went_back(found);
                self.begin(turn, head)
            }
        }
    }

    /// What happened to the log since `applied`.
    fn step(&self, applied: Position, head: Position) -> Result<Step, StoreError> {
        if applied == Position::default() {
            return Ok(Step::OtherLog);
        }
        if applied.log_id != head.log_id {
            let reason = "the log that this service followed is not the one in the database".to_owned();
            let lost = WentBack { reason, log_id: Some(applied.log_id) };
            return Ok(if self.store.is_former_log(applied.log_id)? {
                Step::OtherLog
            } else {
                Step::Back(lost)
            });
        }
        if head.seq >= applied.seq {
            let here = self.store.log_tag(applied.seq)?;
            if here.agrees(applied.tag) {
                return Ok(Step::On);
            }
            // A tag is swept long after its entry. Then nothing is known, and the watchers get a snapshot.
            if here == Tag::UNKNOWN || applied.tag == Tag::UNKNOWN {
                return Ok(Step::OtherLog);
            }
        }
        let (seq, at) = (applied.seq, head.seq);
        let reason =
            format!("entry {seq} of the revocation log was another one, or the log ends before it, at {at}");
        Ok(Step::Back(WentBack { reason, log_id: None }))
    }

    /// Applies all entries, and holds those of this log.
    fn begin(&self, turn: &MutexGuard<'_, ()>, head: Position) -> Result<(), StoreError> {
        let floor = self.store.log_beginning()?;
        let mut applied = Seq::START;
        while applied < floor {
            let entries = self.store.log_between(applied, floor, PORTION)?;
            let Some(last) = entries.last() else { break };
            self.add(&entries);
            applied = last.seq;
        }
        let floor = Position { seq: floor, tag: self.store.log_tag(floor)?, ..head };
        self.log.begin_at(floor);
        self.apply_after(turn, floor, head)
    }

    fn apply_after(
        &self,
        _turn: &MutexGuard<'_, ()>,
        mut applied: Position,
        head: Position,
    ) -> Result<(), StoreError> {
        while applied.seq < head.seq {
            let entries = self.store.log_after(applied.seq)?;
            let Some(last) = entries.last() else { break };
            self.add(&entries);
            self.log.append(&entries);
            (applied.seq, applied.tag) = (last.seq, last.tag);
        }
        // The newest entries may have been deleted before this process read them, or be from before there were tags.
        if applied.seq < head.seq || applied.tag == Tag::UNKNOWN {
            self.log.begin_at(head);
        }
        Ok(())
    }

    fn add(&self, entries: &[LogEntry]) {
        self.revocations.change(|set| {
            for entry in entries {
                set.add(entry.entry());
            }
        });
    }

    /// Whether another log took the place of the one that this process followed, less than `span` ago by the monotonic clock.
    #[must_use]
    pub fn moved_within(&self, span: Duration) -> bool {
        let moved_at = self.moved_at.load(Ordering::Acquire);
        moved_at > 0 && nanos(self.clock.monotonic()).saturating_sub(moved_at) < nanos(span)
    }

    /// The position after the last applied entry.
    #[must_use]
    pub fn head(&self) -> Position {
        self.log.head()
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
