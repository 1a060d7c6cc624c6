//! Applies the messages of one stream in order, and makes the acknowledgements. A gap is never skipped.

use std::{
    collections::VecDeque,
    error::Error,
    mem::{Discriminant, discriminant},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use countermark_proto::auth_v1::{
    Ack, Delta, Heartbeat, Snapshot, WatchRequest, WatchResponse, watch_request::Request as Say,
    watch_response::Response as Said,
};
use tonic::{Code, Status};

use super::{
    Followed,
    introspection::{NOT_GRPC, is_no_grpc},
    wire::revocation::{AnyEntry, InvalidEntry},
};
use crate::clock::Clock;
use crate::verify::{InvalidLogId, InvalidTag, LogId, Position, ProvenPosition, RevocationSet, Seq, Tag};

/// Largest number of open questions. The issuer answers each second.
const MAX_OPEN: usize = 64;

/// Why a stream is closed and opened again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// The issuer ended it.
    #[error("the issuer ended it")]
    Ended,
    /// The issuer refused or broke it off, or was not reached.
    #[error("{0:?}: {1}")]
    Refused(Code, String),
    /// The issuer was silent for too long.
    #[error("nothing came for too long")]
    Silence,
    /// An entry between what was applied and what came is missing.
    #[error("an entry of the log is missing")]
    Gap,
    /// The issuer's log is another one than was applied: it was set back, or replaced.
    #[error("the issuer's log is another one than before")]
    OtherLog,
    /// A message that can't be applied. The issuer is newer than this verifier, or broken.
    #[error("the issuer said something that can't be followed")]
    Malformed,
}

impl Broken {
    /// The part that decides whether it is logged again.
    pub(super) fn kind(&self) -> (Discriminant<Self>, Option<Code>) {
        let code = match self {
            Self::Refused(code, _) => Some(*code),
            Self::Ended | Self::Silence | Self::Gap | Self::OtherLog | Self::Malformed => None,
        };
        (discriminant(self), code)
    }
}

impl From<InvalidEntry> for Broken {
    fn from(InvalidEntry: InvalidEntry) -> Self {
        Self::Malformed
    }
}

impl From<InvalidLogId> for Broken {
    fn from(InvalidLogId: InvalidLogId) -> Self {
        Self::Malformed
    }
}

impl From<InvalidTag> for Broken {
    fn from(InvalidTag: InvalidTag) -> Self {
        Self::Malformed
    }
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        if is_no_grpc(&status) {
            return Self::Refused(status.code(), NOT_GRPC.to_owned());
        }
        if status.code() == Code::Unauthenticated {
            return Self::Refused(status.code(), "the client id or its secret is wrong".to_owned());
        }
        let mut deepest: &dyn Error = &status;
        while let Some(cause) = deepest.source() {
            deepest = cause;
        }
        // A status without a cause is the issuer's own message.
        let said = status.source().map_or_else(|| status.message().to_owned(), |_| deepest.to_string());
        Self::Refused(status.code(), said)
    }
}

/// The bytes of a tag in a message: none when it is unknown.
pub(super) fn tag_bytes(tag: Tag) -> Vec<u8> {
    if tag == Tag::UNKNOWN { Vec::new() } else { tag.bytes().to_vec() }
}

/// A key set that is being fetched.
type KeyFetch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The state of one stream.
pub(super) struct Reading {
    followed: Followed,
    clock: Arc<dyn Clock>,
    /// `None` while no log is known.
    position: Option<Position>,
    /// Between the parts of a snapshot.
    is_in_snapshot: bool,
    was_answered: bool,
    owes_ack: bool,
    nonce: u64,
    /// The unanswered questions, each with the instant at which it was sent; the oldest first.
    open: VecDeque<(u64, Duration)>,
    /// The version of the current key set, when it is not at hand.
    missing_keys: Option<String>,
}

impl Reading {
    pub(super) fn new(followed: Followed, clock: Arc<dyn Clock>) -> Self {
        Self {
            position: followed.freshness.position(),
            followed,
            clock,
            is_in_snapshot: false,
            was_answered: false,
            owes_ack: true,
            nonce: 0,
            open: VecDeque::new(),
            missing_keys: None,
        }
    }

    /// Whether the issuer has answered a question over this stream.
    pub(super) fn was_answered(&self) -> bool {
        self.was_answered
    }

    pub(super) fn owes_ack(&self) -> bool {
        self.owes_ack
    }

    pub(super) fn owe_ack(&mut self) {
        self.owes_ack = true;
    }

    /// An acknowledgement of the position, with a question. The answer to it shows how current the verifier is.
    pub(super) fn ack(&mut self) -> WatchRequest {
        self.owes_ack = false;
        self.nonce += 1;
        if self.open.len() == MAX_OPEN {
            self.open.pop_front();
        }
        self.open.push_back((self.nonce, self.clock.monotonic()));
        let position = self.followed.freshness.position();
        let ack = Ack {
            acked_seq: position.map_or(0, |position| position.seq.number()),
            acked_key_set: self.held_keys().unwrap_or_default(),
            nonce: self.nonce,
            now_millis: self.clock.now().unix_millis(),
            log_id: position.map_or_else(Vec::new, |position| position.log_id.bytes().to_vec()),
            tag: position.map_or_else(Vec::new, |position| tag_bytes(position.tag)),
            ended_seq: 0,
        };
        WatchRequest { request: Some(Say::Ack(ack)) }
    }

    /// Applies a message of the issuer.
    pub(super) fn read(&mut self, response: WatchResponse) -> Result<(), Broken> {
        match response.response.ok_or(Broken::Malformed)? {
            Said::Snapshot(part) => self.snapshot(part),
            Said::Delta(delta) => self.delta(delta),
            Said::Heartbeat(heartbeat) => self.heartbeat(&heartbeat),
        }
    }

    /// Adds the entries of the snapshot to those in force, so a revoked token is never accepted again before it has expired. The
    /// position changes with the last part. Its number may be lower than before: then the issuer's log was set back.
    fn snapshot(&mut self, part: Snapshot) -> Result<(), Broken> {
        let log_id = LogId::try_from(&*part.log_id)?;
        let at = Position { log_id, seq: Seq::new(part.seq), tag: Tag::try_from(&*part.tag)? };
        let entries = part.entries.into_iter().map(AnyEntry::try_from).collect::<Result<Vec<_>, _>>()?;
        self.apply(entries);
        self.is_in_snapshot = !part.last;
        if part.last {
            self.stand_at(at);
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta) -> Result<(), Broken> {
        let (seq, prev_seq) = (Seq::new(delta.seq), Seq::new(delta.prev_seq));
        let held = self.position.filter(|held| !self.is_in_snapshot && held.seq == prev_seq);
        let Some(position) = held else { return Err(Broken::Gap) };
        if seq <= prev_seq {
            return Err(Broken::Malformed);
        }
        let tag = Tag::try_from(&*delta.tag)?;
        let entry = AnyEntry::try_from(delta.entry.ok_or(Broken::Malformed)?)?;
        self.apply([entry]);
        self.stand_at(Position { seq, tag, ..position });
        Ok(())
    }

    fn apply(&self, entries: impl IntoIterator<Item = AnyEntry>) {
        self.followed.revocations.extend_with(entries, |set, entry| match entry {
            AnyEntry::Named(entry) => set.add(entry),
            AnyEntry::Unnamed(entry) => set.add_unnamed(&entry),
        });
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) -> Result<(), Broken> {
        let version = &heartbeat.key_set_version;
        if !version.is_empty() {
            // This comes first: while the stream is live, only the announced key set is fetched.
            self.followed.keys.announce(version);
            let is_held = self.held_keys().as_ref() == Some(version);
            self.missing_keys = Some(version.clone()).filter(|_| !is_held);
        }
        let Some(position) = self.position.filter(|_| !self.is_in_snapshot) else { return Ok(()) };
        if Seq::new(heartbeat.head_seq) > position.seq {
            return Err(Broken::Gap);
        }
        self.check(position, heartbeat)?;
        let Some(nonce) = heartbeat.nonce else { return Ok(()) };
        while let Some((asked, sent_at)) = self.open.front().copied().filter(|&(asked, _)| asked <= nonce) {
            self.open.pop_front();
            if asked == nonce {
                self.answered(sent_at);
            }
        }
        Ok(())
    }

    /// Checks that the issuer speaks of the log that was applied, and keeps its proof. An issuer from before there were tags says
    /// neither.
    fn check(&self, position: Position, heartbeat: &Heartbeat) -> Result<(), Broken> {
        if heartbeat.log_id.is_empty() {
            return Ok(());
        }
        let head = Position {
            log_id: LogId::try_from(&*heartbeat.log_id)?,
            seq: Seq::new(heartbeat.head_seq),
            tag: Tag::try_from(&*heartbeat.tag)?,
        };
        if head != position {
            return Err(Broken::OtherLog);
        }
        if !heartbeat.proof.is_empty() {
            let proof = (&*heartbeat.proof).try_into().map_err(|_| Broken::Malformed)?;
            self.followed.freshness.prove(ProvenPosition { position, proof });
        }
        Ok(())
    }

    fn answered(&mut self, sent_at: Duration) {
        self.followed.freshness.answered(sent_at);
        if !self.was_answered {
            let held = self.followed.revocations.read(RevocationSet::len);
            tracing::info!(
                revocations.seq = self.followed.freshness.seq().number(),
                revocations.held = held,
                "following the issuer"
            );
        }
        self.was_answered = true;
    }

    /// The fetch of the current key set, when it is not at hand.
    pub(super) fn fetch_missing_keys(&mut self) -> Option<KeyFetch> {
        let version = self.missing_keys.take()?;
        let keys = Arc::clone(&self.followed.keys);
        Some(Box::pin(async move { keys.fetch_version(&version).await }))
    }

    fn held_keys(&self) -> Option<String> {
        self.followed.keys.held()?.version().map(str::to_owned)
    }

    fn stand_at(&mut self, position: Position) {
        self.followed.freshness.stand_at(position);
        self.position = Some(position);
        self.owes_ack = true;
    }
}

#[cfg(test)]
mod tests;
