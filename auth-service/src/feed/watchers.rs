//! Watchers of the revocation log at this process: what each was sent, what it has acknowledged, and when.
//!
//! All of it is stored, so that other processes can read it. A nonce is echoed to a watcher only while the stored
//! state is recent.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countermark::{
    clock::Timestamp,
    verify::{LogId, Position, Seq, Tag},
};
use tokio::sync::Notify;

use crate::{
    domain::{
        client::ClientId,
        watcher::{Applied, ProcessId, Watcher, WatcherIdentity},
    },
    store::watchers::{WatcherChanges, WatcherRow},
};

/// An acknowledgement is answered only if one has been stored that came at most this long before it. Other processes
/// allow for this difference: a watcher may have sent its last message this much later than its row says.
pub const WRITTEN_WITHIN: Duration = Duration::from_secs(3);

/// The watchers of this process.
#[derive(Debug)]
pub struct Watchers {
    process: ProcessId,
    live: Mutex<Live>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Live {
    /// Number of watchers since the start of the process.
    count: i64,
    by_ordinal: BTreeMap<i64, Arc<LocalWatcher>>,
    /// Ordinals of watchers that closed their stream in order and whose rows are not deleted yet.
    left: Vec<i64>,
}

/// A watcher. It is kept until its stream is over and the end is stored.
#[derive(Debug)]
pub struct LocalWatcher {
    ordinal: i64,
    who: WatcherIdentity,
    began: Position,
    connected_at: Timestamp,
    state: Mutex<State>,
    /// Wakes the task that writes the stream.
    wake: Notify,
}

#[derive(Debug)]
struct State {
    applied: Applied,
    /// Acks outside `given..=sent` refer to an older log and are ignored. `given` is the number at which the last
    /// snapshot ended; `sent` is the last number that was sent.
    given: Seq,
    sent: Seq,
    /// Number of acknowledgements, and the nonce of the last one.
    acks: u64,
    nonce: Option<u64>,
    last_seen: LastSeen,
    clock_offset: Option<i64>,
    is_connected: bool,
    has_said_goodbye: bool,
    written: Option<Written>,
    /// Position among all watchers ever stored. `None` until this watcher is stored.
    arrival: Option<i64>,
    /// `true` while an answer waits for the next write to the database.
    is_waiting: bool,
}

/// The state that was stored last.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    applied: Applied,
    is_connected: bool,
    last_seen: Duration,
}

/// The instant of a watcher's last message, on two clocks.
#[derive(Clone, Copy, Debug)]
pub struct LastSeen {
    /// The instant on the monotonic clock.
    pub monotonic: Duration,
    /// The instant on the wall clock.
    pub at: Timestamp,
}

/// An acknowledgement from a watcher.
#[derive(Clone, Debug)]
pub struct Ack {
    /// The entries and the key set that the watcher has applied.
    pub applied: Applied,
    /// The log and the tag of the last of these entries. `None` from a watcher that doesn't say them: then its stream says which
    /// log it means.
    pub of: Option<(LogId, Tag)>,
    /// The value that the answer echoes.
    pub nonce: u64,
    /// The watcher's wall clock, if it was sent.
    pub now: Option<Timestamp>,
}

/// A nonce that waits for its echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceRequest {
    /// The number of the acknowledgement, counted from 1.
    pub ack: u64,
    /// The value that the answer echoes.
    pub nonce: u64,
}

/// Changes to be stored.
#[derive(Debug)]
pub struct Batch {
    /// The changes for the store.
    pub changes: WatcherChanges,
    written: Vec<(Arc<LocalWatcher>, Written)>,
}

impl Watchers {
    /// An empty list for the process with this id.
    #[must_use]
    pub fn new(process: ProcessId) -> Self {
        Self { process, live: Mutex::default(), changed: Notify::new() }
    }

    /// The id of this process.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Adds a watcher that has all entries up to `began`.
    pub fn add(&self, who: WatcherIdentity, began: Position, now: LastSeen) -> Arc<LocalWatcher> {
        let mut live = self.live();
        live.count += 1;
        let watching = Arc::new(LocalWatcher {
            ordinal: live.count,
            who,
            began,
            connected_at: now.at,
            state: Mutex::new(State {
                applied: Applied { seq: began.seq, key_set: String::new() },
                given: began.seq,
                sent: began.seq,
                acks: 0,
                nonce: None,
                last_seen: now,
                clock_offset: None,
                is_connected: true,
                has_said_goodbye: false,
                written: None,
                arrival: None,
                is_waiting: false,
            }),
            wake: Notify::new(),
        });
        live.by_ordinal.insert(watching.ordinal, Arc::clone(&watching));
        drop(live);
        self.changed.notify_one();
        watching
    }

    /// Ends a watcher's stream. A watcher that closed it in order is removed. Any other has lost its connection: it
    /// may still accept tokens that were revoked since.
    pub fn end(&self, watching: &LocalWatcher) {
        let mut state = watching.state();
        state.is_connected = false;
        let has_said_goodbye = state.has_said_goodbye;
        drop(state);
        if has_said_goodbye {
            let mut live = self.live();
            live.by_ordinal.remove(&watching.ordinal);
            live.left.push(watching.ordinal);
        }
        self.changed.notify_one();
    }

    /// Requests a write to the database soon.
    pub fn touch(&self) {
        self.changed.notify_one();
    }

    /// Waits until there is something to store.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// All watchers of this process, at the instant `monotonic`. A watcher of another log than `log_id` counts as having
    /// applied nothing.
    #[must_use]
    pub fn known(&self, log_id: LogId, monotonic: Duration) -> Vec<Watcher> {
        self.live().by_ordinal.values().map(|watching| watching.known(log_id, monotonic)).collect()
    }

    /// The changes to store: every watcher if `all` is set, otherwise only those that have changed.
    #[must_use]
    pub fn to_write(&self, all: bool, monotonic: Duration) -> Batch {
        let live = self.live();
        let mut batch = Batch {
            changes: WatcherChanges { left: live.left.clone(), ..Default::default() },
            written: Vec::new(),
        };
        for watching in live.by_ordinal.values() {
            let Some((row, written, is_new)) = watching.to_write(self.process, all, monotonic) else {
                continue;
            };
            batch.changes.written.push(row);
            if is_new {
                batch.changes.came.push(watching.ordinal);
            }
            batch.written.push((Arc::clone(watching), written));
        }
        batch
    }

    /// Confirms that `batch` was stored. `arrivals` has one value for each written watcher.
    pub fn wrote(&self, batch: Batch, arrivals: &[i64]) {
        let mut live = self.live();
        live.left.retain(|ordinal| !batch.changes.left.contains(ordinal));
        for ((watching, written), &arrival) in batch.written.into_iter().zip(arrivals) {
            // From now on a watcher that lost its connection is read from the database, like remote watchers.
            if !written.is_connected {
                live.by_ordinal.remove(&watching.ordinal);
            }
            watching.wrote(written, arrival);
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// `true` when there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.written.is_empty() && self.changes.left.is_empty()
    }
}

impl LocalWatcher {
    /// Records an acknowledgement. Returns `true` when the state has changed and must be stored soon. `is_here`: the log has
    /// the acknowledged position.
    #[must_use]
    pub fn acknowledge(&self, ack: Ack, is_here: bool, now: LastSeen) -> bool {
        let mut state = self.state();
        state.acks += 1;
        state.nonce = Some(ack.nonce);
        state.last_seen = now;
        state.clock_offset = ack.now.map(|theirs| theirs - now.at);
        let before = state.applied.clone();
        state.applied.key_set = ack.applied.key_set;
        if is_here && (state.given..=state.sent).contains(&ack.applied.seq) {
            state.applied.seq = ack.applied.seq;
        }
        let has_changed = state.applied != before;
        drop(state);
        self.wake.notify_one();
        has_changed
    }

    /// The log that the watcher follows.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.began.log_id
    }

    /// The client that the watcher authenticated as.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.who.client
    }

    /// A new snapshot up to `seq` begins. Acknowledgements of earlier entries no longer count.
    pub fn starts_over_at(&self, seq: Seq) {
        let mut state = self.state();
        (state.given, state.sent, state.applied.seq) = (seq, seq, Seq::START);
    }

    /// Records that entries up to `seq` were sent.
    pub fn was_sent(&self, seq: Seq) {
        self.state().sent = seq;
    }

    /// Records that the watcher stops and ends its stream in order.
    pub fn say_goodbye(&self) {
        self.state().has_said_goodbye = true;
    }

    /// The nonce of the last acknowledgement, if there was one.
    #[must_use]
    pub fn asked(&self) -> Option<NonceRequest> {
        let state = self.state();
        state.nonce.map(|nonce| NonceRequest { ack: state.acks, nonce })
    }

    /// `true` when the last acknowledgement may be answered: the stored state is recent enough for other processes.
    /// If not, [`woken`](Self::woken) returns as soon as it is.
    #[must_use]
    pub fn may_be_answered(&self) -> bool {
        let mut state = self.state();
        let written = state.written.as_ref().map(|written| written.last_seen.saturating_add(WRITTEN_WITHIN));
        let may = written.is_some_and(|until| state.last_seen.monotonic <= until);
        state.is_waiting = !may;
        may
    }

    /// Number of acknowledgements so far.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.state().acks
    }

    /// The instant of the last message.
    #[must_use]
    pub fn last_seen(&self) -> LastSeen {
        self.state().last_seen
    }

    /// Waits for an acknowledgement, or for permission to answer one. Returns at once when one came since the last
    /// call.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    fn known(&self, log_id: LogId, monotonic: Duration) -> Watcher {
        let state = self.state();
        let seq = if self.began.log_id == log_id { state.applied.seq } else { Seq::START };
        let silent_for = monotonic.saturating_sub(state.last_seen.monotonic);
        Watcher {
            who: self.who.clone(),
            applied: Applied { seq, ..state.applied.clone() },
            is_connected: state.is_connected,
            arrival: state.arrival,
            connected_at: self.connected_at,
            heard_at: state.last_seen.at,
            silent_for,
            silent_at_most: silent_for,
            clock_offset: state.clock_offset,
        }
    }

    fn to_write(
        &self,
        process: ProcessId,
        all: bool,
        monotonic: Duration,
    ) -> Option<(WatcherRow, Written, bool)> {
        let state = self.state();
        let written = Written {
            applied: state.applied.clone(),
            is_connected: state.is_connected,
            last_seen: state.last_seen.monotonic,
        };
        let is_as_before = state.written.as_ref().is_some_and(|before| {
            before.applied == written.applied && before.is_connected == written.is_connected
        });
        if is_as_before && !all && !state.is_waiting {
            return None;
        }
        let row = WatcherRow {
            process,
            ordinal: self.ordinal,
            who: self.who.clone(),
            log_id: self.began.log_id,
            applied: written.applied.clone(),
            is_connected: written.is_connected,
            connected_at: self.connected_at,
            heard_at: state.last_seen.at,
            silent_for: monotonic.saturating_sub(state.last_seen.monotonic),
            clock_offset: state.clock_offset,
            beats: 0,
            arrival: 0,
        };
        Some((row, written, state.written.is_none()))
    }

    fn wrote(&self, written: Written, arrival: i64) {
        let mut state = self.state();
        (state.written, state.arrival) = (Some(written), Some(arrival));
        if mem::take(&mut state.is_waiting) {
            drop(state);
            self.wake.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
