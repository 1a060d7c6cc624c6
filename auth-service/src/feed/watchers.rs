//! Those who watch the revocation log at this process: what each has been told, what it has acknowledged, and when.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shared::clock::Timestamp;
use tokio::sync::Notify;

use crate::domain::watcher::{Applied, Watcher, Who};

/// Those who watch at this process.
#[derive(Debug, Default)]
pub struct Watchers(Mutex<Live>);

#[derive(Debug, Default)]
struct Live {
    /// How many there ever were.
    count: i64,
    by_ordinal: BTreeMap<i64, Arc<Watching>>,
}

/// One of them, for as long as its stream lasts.
#[derive(Debug)]
pub struct Watching {
    ordinal: i64,
    who: Who,
    state: Mutex<State>,
    /// Wakes whoever writes its stream.
    heard: Notify,
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
    heard: Heard,
    clock_offset: Option<i64>,
}

/// When something was heard: on the monotonic clock, and on the wall.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
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
pub struct Asked {
    /// Which one, counted from 1.
    pub ack: u64,
    /// What is to be echoed.
    pub nonce: u64,
}

impl Watchers {
    /// Adds one that has everything up to `applied`; nothing yet is 0.
    pub fn add(&self, who: Who, applied: i64, now: Heard) -> Arc<Watching> {
        let mut live = self.live();
        live.count += 1;
        let watching = Arc::new(Watching {
            ordinal: live.count,
            who,
            state: Mutex::new(State {
                applied: Applied { seq: applied, key_set: String::new() },
                given: applied,
                sent: applied,
                acks: 0,
                nonce: None,
                heard: now,
                clock_offset: None,
            }),
            heard: Notify::new(),
        });
        live.by_ordinal.insert(watching.ordinal, Arc::clone(&watching));
        watching
    }

    /// Takes one away.
    pub fn remove(&self, watching: &Watching) {
        self.live().by_ordinal.remove(&watching.ordinal);
    }

    /// All of them, as they are known at that monotonic time.
    #[must_use]
    pub fn known(&self, monotonic: Duration) -> Vec<Watcher> {
        self.live().by_ordinal.values().map(|watching| watching.known(monotonic)).collect()
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// It has acknowledged something.
    pub fn acknowledge(&self, ack: Ack, now: Heard) {
        let mut state = self.state();
        state.acks += 1;
        state.nonce = Some(ack.nonce);
        state.heard = now;
        state.clock_offset = ack.now.map(|theirs| theirs - now.at);
        state.applied.key_set = ack.applied.key_set;
        if (state.given..=state.sent).contains(&ack.applied.seq) {
            state.applied.seq = ack.applied.seq;
        }
        drop(state);
        self.heard.notify_one();
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

    /// The last acknowledgement, if there was one.
    #[must_use]
    pub fn asked(&self) -> Option<Asked> {
        let state = self.state();
        state.nonce.map(|nonce| Asked { ack: state.acks, nonce })
    }

    /// How many acknowledgements came.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.state().acks
    }

    /// When it was heard last.
    #[must_use]
    pub fn last_heard(&self) -> Heard {
        self.state().heard
    }

    /// Waits for an acknowledgement that came since this was waited for last.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    fn known(&self, monotonic: Duration) -> Watcher {
        let state = self.state();
        Watcher {
            who: self.who.clone(),
            applied: state.applied.clone(),
            is_connected: true,
            silent_for: monotonic.saturating_sub(state.heard.monotonic),
            clock_offset: state.clock_offset,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
