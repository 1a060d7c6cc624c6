//! LocalWatcher the revocation log: what a watcher lacks, then every entry as it is committed, and the answers to its
//! acknowledgements. A watcher has a position and nothing else: how fast it reads is its own affair.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use countermark::verify::{LogId, Position, Seq, StalePolicy};
use tokio::sync::watch;

use crate::ops::{AuthService, Error, oauth::authenticate_client::Caller};
use crate::{
    domain::watcher::WatcherIdentity,
    feed::watchers::{LastSeen, LocalWatcher, NonceRequest},
    store::revocations::LogEntry,
};

pub use crate::feed::watchers::Ack;

/// Entries in one part of a snapshot: with the longest subjects there are, 1 MiB holds them.
const PART: u32 = 3_000;

/// A watcher that has been silent for that long is dropped.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Who begins to watch, and where it stands.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The log that it followed, if any.
    pub log_id: Option<LogId>,
    /// The last entry that it has applied.
    pub after_seq: Seq,
    /// What it calls itself.
    pub name: String,
    /// The version of its software.
    pub version: String,
    /// What it does when it has not heard from us for `stale_after`.
    pub policy: StalePolicy,
    /// For how long it does without hearing from us.
    pub stale_after: Duration,
}

/// What a watcher is told.
#[derive(Debug)]
pub enum WatchEvent {
    /// A part of everything that is revoked.
    Snapshot {
        /// The place that the log stands at when all parts are applied.
        at: Position,
        /// What is revoked.
        entries: Vec<LogEntry>,
        /// Whether it is the last part.
        is_last: bool,
    },
    /// One revocation.
    Delta {
        /// The number of what was told before it.
        prev_seq: Seq,
        /// The revocation.
        entry: LogEntry,
    },
    /// Where the log stands, and which keys are current.
    Heartbeat {
        /// The number of the last entry that was told.
        head_seq: Seq,
        /// The version of the key set.
        key_set: String,
        /// That of the last acknowledgement, when everything revoked before it came was told.
        nonce: Option<u64>,
    },
}

/// A watcher's side of the log, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    auth: Arc<AuthService>,
    watching: Arc<LocalWatcher>,
    position: Position,
    /// The part of a snapshot that comes next, while one is under way.
    snapshot: Option<Snapshot>,
    /// Entries that were taken out of the log to be told.
    taken: VecDeque<LogEntry>,
    head: watch::Receiver<Position>,
    keys: watch::Receiver<()>,
    /// What was answered last.
    answered: u64,
    /// What can be answered when all entries are told: the log was read since it came.
    answerable: Option<NonceRequest>,
    told_key_set: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    at: Position,
    after: Seq,
}

impl AuthService {
    /// Begins to tell `caller` what is revoked.
    #[must_use]
    pub fn watch(self: &Arc<Self>, caller: &Caller, hello: Hello) -> Watch {
        let head = self.feed.head();
        let is_known = hello.log_id == Some(head.log_id) && hello.after_seq <= head.seq;
        let position = if is_known { hello.after_seq } else { Seq::START };
        let who = WatcherIdentity {
            client: caller.client().clone(),
            name: hello.name,
            version: hello.version,
            policy: hello.policy,
            stale_after: hello.stale_after,
        };
        let watching = self.watchers.add(who, Position { seq: position, ..head }, self.heard_now());
        let mut watch = Watch {
            auth: Arc::clone(self),
            watching,
            position: Position { seq: position, ..head },
            snapshot: None,
            taken: VecDeque::new(),
            head: self.feed.log().subscribe(),
            keys: self.keys.ring.subscribe(),
            answered: 0,
            answerable: None,
            told_key_set: None,
        };
        if !is_known {
            watch.start_over();
        }
        watch
    }

    pub(in crate::ops) fn heard_now(&self) -> LastSeen {
        LastSeen { monotonic: self.clock.monotonic(), at: self.clock.now() }
    }
}

impl Watch {
    /// What is to be told next, once there is something.
    ///
    /// # Errors
    /// [`Error::Store`] when a snapshot can't be read; [`Error::OtherLog`] when the log was replaced;
    /// [`Error::Unauthenticated`] and [`Error::NotAllowed`] when the watcher's client may watch no more.
    pub async fn next(&mut self) -> Result<WatchEvent, Error> {
        loop {
            if let Some(told) = self.due()? {
                return Ok(told);
            }
            tokio::select! {
                _ = self.head.changed() => {}
                _ = self.keys.changed() => {}
                () = self.watching.woken() => {}
            }
        }
    }

    /// Where the watcher's acknowledgements go.
    #[must_use]
    pub fn ear(&self) -> AckSender {
        AckSender { auth: Arc::clone(&self.auth), watching: Arc::clone(&self.watching) }
    }

    fn due(&mut self) -> Result<Option<WatchEvent>, Error> {
        if let Some(snapshot) = self.snapshot {
            return self.part(snapshot).map(Some);
        }
        self.hear()?;
        if self.taken.is_empty() {
            let head = self.auth.feed.head();
            if head.log_id != self.position.log_id {
                return Err(Error::OtherLog);
            }
            let Some(entries) = self.auth.feed.log().after(self.position) else {
                self.start_over();
                return self.due();
            };
            self.taken = entries.into();
        }
        Ok(match self.taken.pop_front() {
            Some(entry) => Some(self.delta(entry)),
            None => self.heartbeat(),
        })
    }

    /// Catches up with the log after an acknowledgement came, so that all that was revoked before it is told before its
    /// answer. When the log can't be read there is no answer, and the watcher knows what that means.
    fn hear(&mut self) -> Result<(), Error> {
        let Some(asked) = self.watching.asked() else { return Ok(()) };
        if asked.ack == self.answered || self.answerable == Some(asked) {
            return Ok(());
        }
        self.auth.still_may_ask(self.watching.client())?;
        // Of a file that was moved away, what was open before goes on being read.
        if self.auth.feed.catch_up().is_ok() && self.auth.store.health().is_ok() {
            self.answerable = Some(asked);
        }
        Ok(())
    }

    /// Whether other processes know that the watcher is alive, so that they wait for it.
    fn may_answer(&self) -> bool {
        let may = self.watching.may_be_answered();
        if !may {
            self.auth.watchers.touch();
        }
        may
    }

    fn start_over(&mut self) {
        let at = self.auth.feed.head();
        self.taken.clear();
        self.watching.starts_over_at(at.seq);
        self.snapshot = Some(Snapshot { at, after: Seq::START });
    }

    fn part(&mut self, Snapshot { at, after }: Snapshot) -> Result<WatchEvent, Error> {
        let entries = self.auth.store.log_between(after, at.seq, PART)?;
        let last = entries.last().map(|entry| entry.seq);
        let is_last = entries.len() < PART as usize || last == Some(at.seq);
        self.snapshot = last.filter(|_| !is_last).map(|after| Snapshot { at, after });
        if is_last {
            self.position = at;
        }
        Ok(WatchEvent::Snapshot { at, entries, is_last })
    }

    fn delta(&mut self, entry: LogEntry) -> WatchEvent {
        let prev_seq = std::mem::replace(&mut self.position.seq, entry.seq);
        self.watching.was_sent(entry.seq);
        WatchEvent::Delta { prev_seq, entry }
    }

    fn heartbeat(&mut self) -> Option<WatchEvent> {
        let key_set = &self.auth.published_keys().version;
        let answer = self.answerable.filter(|_| self.may_answer());
        if answer.is_none() && self.told_key_set.as_ref() == Some(key_set) {
            return None;
        }
        self.told_key_set = Some(key_set.clone());
        if let Some(asked) = answer {
            self.answered = asked.ack;
            self.answerable = None;
        }
        Some(WatchEvent::Heartbeat {
            head_seq: self.position.seq,
            key_set: key_set.clone(),
            nonce: answer.map(|asked| asked.nonce),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.auth.watchers.end(&self.watching);
    }
}

/// Where a watcher's acknowledgements go.
#[derive(Debug)]
pub struct AckSender {
    auth: Arc<AuthService>,
    watching: Arc<LocalWatcher>,
}

impl AckSender {
    /// The watcher has acknowledged something.
    pub fn acknowledge(&self, ack: Ack) {
        if self.watching.acknowledge(ack, self.auth.heard_now()) {
            self.auth.watchers.touch();
        }
    }

    /// The watcher ends its stream: it stops, and accepts nothing any more.
    pub fn say_goodbye(&self) {
        self.watching.say_goodbye();
    }

    /// How many acknowledgements came.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.watching.acks()
    }

    /// Whether the watcher has been silent for longer than it may.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let last_seen = self.watching.last_seen().monotonic;
        self.auth.clock.monotonic().saturating_sub(last_seen) > LONGEST_SILENCE
    }
}
