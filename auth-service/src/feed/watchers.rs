//! Those who watch the revocation log at this process: what each has been told, what it has acknowledged, and when. All of
//! it is written down for other processes; a nonce comes back to a watcher only while they know that it is alive.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countermark::clock::Timestamp;
use tokio::sync::Notify;

use crate::{
    domain::{
        client::ClientId,
        watcher::{Applied, Watcher, WatcherIdentity},
    },
    store::{
        revocations::Position,
        watchers::{ProcessId, WatcherChanges, WatcherRow},
    },
};

/// An acknowledgement is answered when one that came so long before it, or less, was written down: other processes count
/// with it that a watcher may have been heard later than they read.
pub const WRITTEN_WITHIN: Duration = Duration::from_secs(3);

/// Those who watch at this process.
#[derive(Debug)]
pub struct Watchers {
    process: ProcessId,
    live: Mutex<Live>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Live {
    /// How many there ever were.
    count: i64,
    by_ordinal: BTreeMap<i64, Arc<LocalWatcher>>,
    /// Those that said goodbye, until that is written down.
    left: Vec<i64>,
}

/// One of them, for as long as its stream lasts, and until its end is written down.
#[derive(Debug)]
pub struct LocalWatcher {
    ordinal: i64,
    who: WatcherIdentity,
    began: Position,
    connected_at: Timestamp,
    state: Mutex<State>,
    /// Wakes whoever writes its stream.
    wake: Notify,
}

#[derive(Debug)]
struct State {
    applied: Applied,
    /// Numbers that can be acknowledged: from what it was given whole to what it was sent last. Another number is of what
    /// it held before.
    given: i64,
    sent: i64,
    /// How many acknowledgements came, and the nonce of the last.
    acks: u64,
    nonce: Option<u64>,
    heard: LastSeen,
    clock_offset: Option<i64>,
    is_connected: bool,
    has_said_goodbye: bool,
    written: Option<Written>,
    /// In which place of all that were ever written down, once it is.
    arrival: Option<i64>,
    /// Whether an answer waits for what is to be written down.
    is_waiting: bool,
}

/// What was written down last.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    applied: Applied,
    is_connected: bool,
    heard: Duration,
}

/// When something was heard: on the monotonic clock, and on the wall.
#[derive(Clone, Copy, Debug)]
pub struct LastSeen {
    /// On the monotonic clock.
    pub monotonic: Duration,
    /// On the wall clock.
    pub at: Timestamp,
}

/// An acknowledgement.
#[derive(Clone, Debug)]
pub struct Ack {
    /// What was applied.
    pub applied: Applied,
    /// What is to be echoed.
    pub nonce: u64,
    /// The watcher's wall clock, if it says.
    pub now: Option<Timestamp>,
}

/// An acknowledgement that wants its nonce back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceRequest {
    /// Which one, counted from 1.
    pub ack: u64,
    /// What is to be echoed.
    pub nonce: u64,
}

/// What is to be written down of them.
#[derive(Debug)]
pub struct Batch {
    /// What the store is to write.
    pub changes: WatcherChanges,
    written: Vec<(Arc<LocalWatcher>, Written)>,
}

impl Watchers {
    /// Nobody yet, at the process of that id.
    #[must_use]
    pub fn new(process: ProcessId) -> Self {
        Self { process, live: Mutex::default(), changed: Notify::new() }
    }

    /// The id of this process.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Adds one that has everything up to `began`.
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
                heard: now,
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

    /// Its stream is over. One that said goodbye is forgotten; one that didn't has vanished, and may accept what it has
    /// not heard of.
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

    /// Something is to be written down soon.
    pub fn touch(&self) {
        self.changed.notify_one();
    }

    /// Waits until there is something to be written down.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// All of them, as they are known at that monotonic time.
    #[must_use]
    pub fn known(&self, monotonic: Duration) -> Vec<Watcher> {
        self.live().by_ordinal.values().map(|watching| watching.known(monotonic)).collect()
    }

    /// What is to be written down: all of those that are connected, or those alone that have changed.
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

    /// That was written down, in the places `arrivals`.
    pub fn wrote(&self, batch: Batch, arrivals: &[i64]) {
        let mut live = self.live();
        live.left.retain(|ordinal| !batch.changes.left.contains(ordinal));
        for ((watching, written), &arrival) in batch.written.into_iter().zip(arrivals) {
            // Whoever vanished is known from the database from now on, like all that others know of.
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
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.written.is_empty() && self.changes.left.is_empty()
    }
}

impl LocalWatcher {
    /// It has acknowledged something. Answers whether that is to be written down soon.
    #[must_use]
    pub fn acknowledge(&self, ack: Ack, now: LastSeen) -> bool {
        let mut state = self.state();
        state.acks += 1;
        state.nonce = Some(ack.nonce);
        state.heard = now;
        state.clock_offset = ack.now.map(|theirs| theirs - now.at);
        let before = state.applied.clone();
        state.applied.key_set = ack.applied.key_set;
        if (state.given..=state.sent).contains(&ack.applied.seq) {
            state.applied.seq = ack.applied.seq;
        }
        let has_changed = state.applied != before;
        drop(state);
        self.wake.notify_one();
        has_changed
    }

    /// The client that it authenticated as.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.who.client
    }

    /// It is sent everything up to `seq` anew: what it says of what it held before counts no longer.
    pub fn starts_over_at(&self, seq: i64) {
        let mut state = self.state();
        (state.given, state.sent, state.applied.seq) = (seq, seq, 0);
    }

    /// It was sent the entries up to `seq`.
    pub fn was_sent(&self, seq: i64) {
        self.state().sent = seq;
    }

    /// It ends its stream, for it stops.
    pub fn say_goodbye(&self) {
        self.state().has_said_goodbye = true;
    }

    /// The last acknowledgement, if there was one.
    #[must_use]
    pub fn asked(&self) -> Option<NonceRequest> {
        let state = self.state();
        state.nonce.map(|nonce| NonceRequest { ack: state.acks, nonce })
    }

    /// Whether the last acknowledgement can be answered, as far as other processes go. When not, whoever waits in
    /// [`woken`](Self::woken) is woken as soon as it can.
    #[must_use]
    pub fn may_be_answered(&self) -> bool {
        let mut state = self.state();
        let written = state.written.as_ref().map(|written| written.heard.saturating_add(WRITTEN_WITHIN));
        let may = written.is_some_and(|until| state.heard.monotonic <= until);
        state.is_waiting = !may;
        may
    }

    /// How many acknowledgements came.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.state().acks
    }

    /// When it was heard last.
    #[must_use]
    pub fn last_heard(&self) -> LastSeen {
        self.state().heard
    }

    /// Waits for an acknowledgement, or for leave to answer one, that came since this was waited for last.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    fn known(&self, monotonic: Duration) -> Watcher {
        let state = self.state();
        let silent_for = monotonic.saturating_sub(state.heard.monotonic);
        Watcher {
            who: self.who.clone(),
            applied: state.applied.clone(),
            is_connected: state.is_connected,
            arrival: state.arrival,
            connected_at: self.connected_at,
            heard_at: state.heard.at,
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
            heard: state.heard.monotonic,
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
            heard_at: state.heard.at,
            silent_for: monotonic.saturating_sub(state.heard.monotonic),
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
