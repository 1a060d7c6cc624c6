//! A watcher's side of the revocation log: first the entries that it lacks, then every entry as it is committed, and the
//! answers to its acknowledgements. The service holds a position for each watcher and no queue, so a slow watcher costs no
//! memory.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use countermark::verify::{Position, ProvenPosition, Seq, Signed, StalePolicy, Tag};
use tokio::sync::watch;

use super::Watch;
use crate::{
    domain::{watcher::WatcherIdentity, went_back::WentBack},
    feed::watchers::{LastSeen, LocalWatcher, NonceRequest},
    ops::{
        Context,
        caller::{Caller, CallerError},
        error::{Fault, has_faults},
    },
    store::revocations::LogEntry,
};

pub use crate::feed::watchers::Ack;

/// A watch ends.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The revocation log was replaced by another one.
    #[error("the revocation log was replaced")]
    OtherLog,
    /// The watcher's client may no longer watch.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(WatchError);

/// Entries in one part of a snapshot: with the longest subjects there are, 1 MiB holds them.
const PART: u32 = 3_000;

/// A watcher that has been silent for that long is dropped.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// Credentials are checked again after so long at most, and at each acknowledgement.
const CHECK: Duration = Duration::from_secs(1);

/// A watcher's first message.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The position up to which it has applied the log that it followed, if any.
    pub position: Option<Position>,
    /// The last position that was proven to it, if any.
    pub proven: Option<ProvenPosition>,
    /// Its name.
    pub name: String,
    /// The version of its software.
    pub version: String,
    /// What it does with tokens when it has received nothing from the issuer for `stale_after`.
    pub policy: StalePolicy,
    /// The time without a message after which it counts as stale.
    pub stale_after: Duration,
    /// The signature algorithms that it can verify. None: RS256 alone.
    pub algorithms: Vec<String>,
    /// Whether it understands entries that name a fingerprint.
    pub takes_fingerprints: bool,
}

/// An event that a watcher is sent.
#[derive(Debug)]
pub enum WatchEvent {
    /// A part of everything that is revoked.
    Snapshot {
        /// The position in the log when all parts are applied.
        at: Position,
        /// The revocations.
        entries: Vec<LogEntry>,
        /// Whether it is the last part.
        is_last: bool,
    },
    /// One revocation.
    Delta {
        /// The sequence number of the entry that was sent before it.
        prev_seq: Seq,
        /// The revocation.
        entry: LogEntry,
    },
    /// The position of the log, and the current key set.
    Heartbeat {
        /// The position of the last entry that was sent, with its proof.
        head: ProvenPosition,
        /// The version of the key set.
        key_set: String,
        /// The nonce of the last acknowledgement, once everything that was revoked before it has been sent.
        nonce: Option<u64>,
    },
}

/// A watcher's side of the log, until it is dropped.
#[derive(Debug)]
pub struct WatchStream {
    watch: Arc<Watch>,
    watcher: Arc<LocalWatcher>,
    /// Who opened the stream, by which credentials. They are checked again while the stream lives.
    caller: Caller,
    /// The service token among them.
    token: Option<Signed>,
    /// When they were checked last, on the monotonic clock.
    checked_at: Duration,
    takes_fingerprints: bool,
    position: Position,
    /// The part of a snapshot that comes next, while one is under way.
    snapshot: Option<Snapshot>,
    /// Entries that were taken out of the log, to be sent.
    taken: VecDeque<LogEntry>,
    head: watch::Receiver<Position>,
    keys: watch::Receiver<()>,
    /// The number of the acknowledgement that was answered last.
    answered: u64,
    /// The acknowledgement that can be answered once all entries are sent: the log was read since it came.
    answerable: Option<NonceRequest>,
    sent_key_set: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    at: Position,
    after: Seq,
}

impl Watch {
    /// Begins to send `caller` the revocations. The stream goes on where the watcher stands, if the log has that position.
    /// Otherwise it begins with a snapshot.
    ///
    /// # Errors
    /// [`WatchError::Caller`] when the caller may not watch.
    pub async fn begin(self: &Arc<Self>, caller: Caller, hello: Hello) -> Result<WatchStream, WatchError> {
        let token = caller.signed_token(&self.ring.public())?;
        let caller = self.caller_now(&caller, token.as_ref())?;
        if !caller.may_watch() {
            tracing::warn!(client.id = %caller.client(), "watches by the scope introspect alone, which AUTH_WATCH_SCOPE=require will not let it: it needs the scope watch, and a service token that asks for it");
        }
        if let Some(proven) = &hello.proven {
            self.weigh(&caller, &hello.name, proven).await?;
        }
        let feed = &self.context.feed;
        let head = feed.head();
        let resumed = hello.position.filter(|position| feed.log().has(*position));
        let position = resumed.unwrap_or(Position { seq: Seq::START, ..head });
        let who = WatcherIdentity {
            client: caller.client().clone(),
            name: hello.name,
            version: hello.version,
            policy: hello.policy,
            stale_after: hello.stale_after,
            algorithms: hello.algorithms,
        };
        let watcher = self.local.add(who, position, self.seen_now());
        let mut stream = WatchStream {
            watch: Arc::clone(self),
            watcher,
            caller,
            token,
            checked_at: self.context.clock.monotonic(),
            takes_fingerprints: hello.takes_fingerprints,
            position,
            snapshot: None,
            taken: VecDeque::new(),
            head: feed.log().subscribe(),
            keys: self.ring.subscribe(),
            answered: 0,
            answerable: None,
            sent_key_set: None,
        };
        if resumed.is_none() {
            stream.start_over();
        }
        Ok(stream)
    }

    /// Looks whether a watcher's proof shows that the database went back: the issuer was at a position that the log doesn't
    /// have. A proof of a log that was given up shows nothing. A proof that is not authentic moves nothing.
    async fn weigh(&self, caller: &Caller, name: &str, proven: &ProvenPosition) -> Result<(), Fault> {
        if !self.positions.is_authentic(proven) {
            return Ok(());
        }
        let Context { feed, store, .. } = &self.context;
        feed.catch_up()?;
        let (head, Position { log_id, seq, tag }) = (feed.head(), proven.position);
        let is_lost = if log_id == head.log_id {
            let here = store.log_tag(seq)?;
            seq > head.seq || here != Tag::UNKNOWN && here != tag
        } else {
            !store.is_former_log(log_id)?
        };
        if is_lost {
            let client = caller.client().as_str();
            let reason = format!(
                "the verifier {name} ({client}) proved entry {seq} of a log that is not the one here"
            );
            let log_id = (log_id != head.log_id).then_some(log_id);
            store.report_went_back(WentBack { reason, log_id });
            store.keep_evidence().await?;
        }
        Ok(())
    }

    /// The caller as it is now, if it still may watch.
    fn caller_now(&self, caller: &Caller, token: Option<&Signed>) -> Result<Caller, CallerError> {
        let Context { feed, registry, policy, clock, .. } = &self.context;
        let caller = caller.checked_again(token, &registry.now(), feed.revocations(), clock.now())?;
        caller.check_may_watch(policy.watch_scope)?;
        Ok(caller)
    }

    fn seen_now(&self) -> LastSeen {
        LastSeen { monotonic: self.context.clock.monotonic(), at: self.context.clock.now() }
    }
}

impl WatchStream {
    /// Waits for the next event.
    pub async fn next(&mut self) -> Result<WatchEvent, WatchError> {
        loop {
            if let Some(event) = self.due()? {
                return Ok(event);
            }
            tokio::select! {
                _ = self.head.changed() => {}
                _ = self.keys.changed() => {}
                () = self.watcher.woken() => {}
            }
        }
    }

    /// Whether the watcher understands entries that name a fingerprint.
    #[must_use]
    pub fn takes_fingerprints(&self) -> bool {
        self.takes_fingerprints
    }

    /// Takes the watcher's acknowledgements.
    #[must_use]
    pub fn ack_sender(&self) -> AckSender {
        AckSender { watch: Arc::clone(&self.watch), watcher: Arc::clone(&self.watcher) }
    }

    fn check_caller(&mut self) -> Result<(), CallerError> {
        self.checked_at = self.watch.context.clock.monotonic();
        self.watch.caller_now(&self.caller, self.token.as_ref()).map(drop)
    }

    fn due(&mut self) -> Result<Option<WatchEvent>, WatchError> {
        // One that acknowledges nothing, or reads a long snapshot, is checked too.
        if self.watch.context.clock.monotonic().saturating_sub(self.checked_at) >= CHECK {
            self.check_caller()?;
        }
        if let Some(snapshot) = self.snapshot {
            return self.part(snapshot).map(Some);
        }
        self.read_acks()?;
        if self.taken.is_empty() {
            let head = self.watch.context.feed.head();
            if head.log_id != self.position.log_id {
                return Err(WatchError::OtherLog);
            }
            let Some(entries) = self.watch.context.feed.log().after(self.position) else {
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

    /// Reads the log after an acknowledgement came: everything that was revoked before it is sent before its answer. When
    /// the log can't be read there is no answer, and the watcher counts itself as stale.
    fn read_acks(&mut self) -> Result<(), WatchError> {
        let Some(asked) = self.watcher.asked() else { return Ok(()) };
        if asked.ack == self.answered || self.answerable == Some(asked) {
            return Ok(());
        }
        self.check_caller()?;
        let Context { store, feed, .. } = &self.watch.context;
        // A file that was moved away can still be read where it was open before. So the health is checked, too.
        if feed.catch_up().is_ok() && store.health().is_ok() {
            self.answerable = Some(asked);
        }
        Ok(())
    }

    /// Whether other processes know that the watcher is alive, so that they wait for it.
    fn may_answer(&self) -> bool {
        let may = self.watcher.may_be_answered();
        if !may {
            self.watch.local.touch();
        }
        may
    }

    fn start_over(&mut self) {
        let at = self.watch.context.feed.head();
        self.taken.clear();
        self.watcher.starts_over_at(at.seq);
        self.snapshot = Some(Snapshot { at, after: Seq::START });
    }

    fn part(&mut self, Snapshot { at, after }: Snapshot) -> Result<WatchEvent, WatchError> {
        let entries = self.watch.context.store.log_between(after, at.seq, PART)?;
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
        self.position.tag = entry.tag;
        self.watcher.was_sent(entry.seq);
        WatchEvent::Delta { prev_seq, entry }
    }

    fn heartbeat(&mut self) -> Option<WatchEvent> {
        let key_set = &self.watch.ring.published().version;
        let answer = self.answerable.filter(|_| self.may_answer());
        if answer.is_none() && self.sent_key_set.as_ref() == Some(key_set) {
            return None;
        }
        self.sent_key_set = Some(key_set.clone());
        if let Some(asked) = answer {
            self.answered = asked.ack;
            self.answerable = None;
        }
        Some(WatchEvent::Heartbeat {
            head: ProvenPosition {
                position: self.position,
                proof: self.watch.positions.prove(&self.position),
            },
            key_set: key_set.clone(),
            nonce: answer.map(|asked| asked.nonce),
        })
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.watch.local.end(&self.watcher);
    }
}

/// Takes a watcher's acknowledgements.
#[derive(Debug)]
pub struct AckSender {
    watch: Arc<Watch>,
    watcher: Arc<LocalWatcher>,
}

impl AckSender {
    /// The watcher has acknowledged something.
    pub fn acknowledge(&self, ack: Ack) {
        let log = self.watch.context.feed.log();
        let seq = ack.applied.seq;
        let is_here = ack.of.is_none_or(|(log_id, tag)| log.has(Position { log_id, seq, tag }))
            && log.head().log_id == self.watcher.log_id();
        if self.watcher.acknowledge(ack, is_here, self.watch.seen_now()) {
            self.watch.local.touch();
        }
    }

    /// The watcher ends its stream: it stops, and accepts nothing any more.
    pub fn say_goodbye(&self) {
        self.watcher.say_goodbye();
    }

    /// How many acknowledgements came.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.watcher.acks()
    }

    /// Whether the watcher has been silent for longer than it may.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let last_seen = self.watcher.last_seen().monotonic;
        self.watch.context.clock.monotonic().saturating_sub(last_seen) > LONGEST_SILENCE
    }
}
