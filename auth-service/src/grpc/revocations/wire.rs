//! The messages of watchers and to watchers, from and to the wire.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    issuer::wire::revocation::unnamed,
    verify::{LogId, Position, ProvenPosition, Seq, Tag},
};
use countermark_proto::auth_v1::{self as wire, WatchResponse, watch_response::Response};
use tonic::Status;

use crate::{
    domain::watcher::Applied,
    ops::watch::stream::{Ack, Hello, WatchEvent},
    store::revocations::LogEntry,
};

/// The longest name and version, in bytes.
const LONGEST_NAME: usize = 255;

/// The most algorithms that a hello names.
const MAX_ALGORITHMS: usize = 16;

/// The longest name of an algorithm, in bytes.
const LONGEST_ALGORITHM: usize = 32;

/// A watcher's first message.
///
/// # Errors
/// `INVALID_ARGUMENT` names the field that is wrong.
pub(super) fn hello(hello: wire::Hello) -> Result<Hello, Status> {
    let position = if hello.log_id.is_empty() {
        None
    } else {
        Some(position(&hello.log_id, hello.after_seq, &hello.tag)?)
    };
    let proven = hello.proof.as_ref().map(proven).transpose()?;
    let is_algorithm = |name: &String| !name.is_empty() && name.len() <= LONGEST_ALGORITHM && name.is_ascii();
    if hello.algorithms.len() > MAX_ALGORITHMS || !hello.algorithms.iter().all(is_algorithm) {
        return Err(Status::invalid_argument("algorithms has at most 16 names of at most 32 ASCII bytes"));
    }
    let is_printable = |text: &str| text.len() <= LONGEST_NAME && !text.contains(char::is_control);
    if hello.name.is_empty() || !is_printable(&hello.name) || !is_printable(&hello.version) {
        return Err(Status::invalid_argument("name has 1 to 255 printable bytes, and version at most 255"));
    }
    let policy = wire::StalePolicy::try_from(hello.policy).ok().and_then(|policy| policy.try_into().ok());
    let stale_after = hello.stale_after.and_then(|span| Duration::try_from(span).ok());
    Ok(Hello {
        position,
        proven,
        algorithms: hello.algorithms,
        takes_fingerprints: hello.takes_fingerprints,
        name: hello.name,
        version: hello.version,
        policy: policy
            .ok_or_else(|| Status::invalid_argument("policy is one of allow, introspect and deny"))?,
        stale_after: stale_after
            .ok_or_else(|| Status::invalid_argument("stale_after is a span of time, and not negative"))?,
    })
}

fn position(log_id: &[u8], seq: u64, tag: &[u8]) -> Result<Position, Status> {
    let log_id = log_id.try_into().map_err(|_| Status::invalid_argument("log_id has 16 bytes, or none"))?;
    let tag = tag.try_into().map_err(|_| Status::invalid_argument("tag has 16 bytes, or none"))?;
    Ok(Position { log_id, seq: Seq::new(seq), tag })
}

fn proven(proof: &wire::Proof) -> Result<ProvenPosition, Status> {
    let mac = (&*proof.mac).try_into().map_err(|_| Status::invalid_argument("a proof's mac has 32 bytes"))?;
    Ok(ProvenPosition { position: position(&proof.log_id, proof.seq, &proof.tag)?, proof: mac })
}

/// The log and the tag of an acknowledgement, when they are said. What can't be read agrees with nothing.
fn acked_of(log_id: &[u8], tag: &[u8]) -> Option<(LogId, Tag)> {
    let is_said = !log_id.is_empty() || !tag.is_empty();
    is_said.then(|| (log_id.try_into().unwrap_or_default(), tag.try_into().unwrap_or_default()))
}

/// An acknowledgement.
pub(super) fn ack(ack: wire::Ack) -> Ack {
    let mut key_set = ack.acked_key_set;
    key_set.truncate(key_set.floor_char_boundary(LONGEST_NAME));
    Ack {
        of: acked_of(&ack.log_id, &ack.tag),
        applied: Applied { seq: Seq::new(ack.acked_seq), key_set },
        nonce: ack.nonce,
        now: (ack.now_millis != 0).then(|| Timestamp::from_unix_millis(ack.now_millis)),
    }
}

/// An event for a watcher. `takes_fingerprints`: its entries name nobody. So it learns no name that it doesn't know.
pub(super) fn response(event: WatchEvent, takes_fingerprints: bool) -> WatchResponse {
    let of =
        |entry: &LogEntry| if takes_fingerprints { unnamed(entry.entry()) } else { entry.entry().into() };
    let response = match event {
        WatchEvent::Snapshot { at, entries, is_last } => Response::Snapshot(wire::Snapshot {
            log_id: at.log_id.bytes().to_vec(),
            seq: at.seq.number(),
            entries: entries.iter().map(of).collect(),
            last: is_last,
            tag: at.tag.bytes().to_vec(),
        }),
        WatchEvent::Delta { prev_seq, entry } => Response::Delta(wire::Delta {
            prev_seq: prev_seq.number(),
            seq: entry.seq.number(),
            tag: entry.tag.bytes().to_vec(),
            entry: Some(of(&entry)),
        }),
        WatchEvent::Heartbeat { head, key_set, nonce } => Response::Heartbeat(wire::Heartbeat {
            head_seq: head.position.seq.number(),
            key_set_version: key_set,
            nonce,
            log_id: head.position.log_id.bytes().to_vec(),
            tag: head.position.tag.bytes().to_vec(),
            proof: head.proof.to_vec(),
        }),
    };
    WatchResponse { response: Some(response) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> wire::Hello {
        wire::Hello {
            name: "one".to_owned(),
            policy: wire::StalePolicy::Deny.into(),
            stale_after: Some(Duration::from_secs(5).try_into().unwrap()),
            ..wire::Hello::default()
        }
    }

    #[test]
    fn a_hello_that_says_too_little_or_too_much_is_refused() {
        assert_eq!(hello(plain()).unwrap().stale_after, Duration::from_secs(5));
        let refused: [fn(&mut wire::Hello); 12] = [
            |hello| hello.log_id = vec![0; 15],
            |hello| (hello.log_id, hello.tag) = (vec![0; 16], vec![0; 15]),
            |hello| {
                hello.proof =
                    Some(wire::Proof { log_id: vec![0; 16], tag: vec![0; 16], ..Default::default() });
            },
            |hello| hello.proof = Some(wire::Proof { mac: vec![0; 32], ..Default::default() }),
            |hello| hello.algorithms = vec!["RS256".to_owned(); 17],
            |hello| hello.algorithms = vec!["a".repeat(33)],
            |hello| hello.name.clear(),
            |hello| hello.name = "n".repeat(256),
            |hello| hello.name = "two\nlines".to_owned(),
            |hello| hello.version = "v".repeat(256),
            |hello| hello.policy = 0,
            |hello| hello.stale_after = None,
        ];
        for change in refused {
            let mut changed = plain();
            change(&mut changed);
            assert_eq!(hello(changed).unwrap_err().code(), tonic::Code::InvalidArgument);
        }
    }
}
