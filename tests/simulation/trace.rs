//! What was said between the issuers and the verifiers, in order: read from the bytes of the streams, at the issuers. A replay
//! compares it with the model of the protocol.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::{Buf as _, Bytes, BytesMut};
use countermark::clock::Clock as _;
use countermark_proto::auth_v1::{
    Ack, Heartbeat, Hello, WatchRequest, WatchResponse, watch_request::Request as Say,
    watch_response::Response as Said,
};
use http_body_util::BodyExt as _;
use prost::Message;

use crate::time::SimulatedClock;

/// A position as the wire has it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) log_id: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) tag: Vec<u8>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = |bytes: &[u8]| bytes.iter().take(3).copied().collect::<Vec<_>>();
        write!(f, "{} of {:02x?} ({:02x?})", self.number, begin(&self.log_id), begin(&self.tag))
    }
}

/// The number of a stream.
pub(crate) type StreamNumber = usize;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Hello {
        stream: StreamNumber,
        verifier: String,
        place: Option<Place>,
        proof: Option<Place>,
    },
    Ack {
        stream: StreamNumber,
        place: Option<Place>,
    },
    /// The last part of a snapshot.
    Snapshot {
        stream: StreamNumber,
        at: Place,
    },
    Delta {
        stream: StreamNumber,
        prev: u64,
        number: u64,
        tag: Vec<u8>,
    },
    /// The next delta of this stream never leaves the issuer.
    Lost {
        stream: StreamNumber,
    },
    /// An answer to a nonce.
    Echo {
        stream: StreamNumber,
        at: Place,
    },
    /// Something was revoked, and answered. The log is that long at least.
    Answered {
        number: u64,
    },
    /// A barrier for that number was answered: complete.
    Complete {
        number: u64,
    },
    /// The database was copied, when its log had that number.
    Copied {
        number: u64,
    },
    /// The copy took the database's place.
    PutBack {
        is_running: bool,
        with_mark: bool,
    },
    /// It was recovered. Until then its log had that number.
    Recovered {
        number: u64,
    },
}

/// The events so far, each with its instant. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    events: Vec<(Duration, Event)>,
    streams: StreamNumber,
}

impl Trace {
    pub(crate) fn record(&self, clock: &SimulatedClock, event: Event) {
        self.recorded().events.push((clock.monotonic(), event));
    }

    /// The events so far.
    pub(crate) fn take(&self) -> Vec<(Duration, Event)> {
        std::mem::take(&mut self.recorded().events)
    }

    fn recorded(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads along what a verifier says. Its stream gets a number.
    pub(crate) fn requests(&self, clock: &SimulatedClock, request: Request) -> Request {
        let mut recorded = self.recorded();
        recorded.streams += 1;
        let stream = recorded.streams;
        drop(recorded);
        let (trace, clock) = (self.clone(), clock.clone());
        let mut frames = Frames::default();
        let mut request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                for said in frames.read::<WatchRequest>(frame.data_ref()) {
                    if let Some(event) = said.request.map(|said| say(stream, said)) {
                        trace.record(&clock, event);
                    }
                }
                frame
            }))
        });
        request.extensions_mut().insert(Numbered(stream));
        request
    }

    /// Reads along what an issuer says over that stream.
    pub(crate) fn responses(
        &self,
        clock: &SimulatedClock,
        stream: StreamNumber,
        response: Response,
    ) -> Response {
        let (trace, clock) = (self.clone(), clock.clone());
        let mut frames = Frames::default();
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                for said in frames.read::<WatchResponse>(frame.data_ref()) {
                    if let Some(event) = said.response.and_then(|said| answer(stream, said)) {
                        trace.record(&clock, event);
                    }
                }
                frame
            }))
        })
    }
}

/// The number of a stream, with its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered(pub(crate) StreamNumber);

fn place(log_id: Vec<u8>, number: u64, tag: Vec<u8>) -> Option<Place> {
    (!log_id.is_empty()).then_some(Place { log_id, number, tag })
}

fn say(stream: StreamNumber, said: Say) -> Event {
    match said {
        Say::Hello(Hello { log_id, after_seq, tag, name, proof, .. }) => Event::Hello {
            stream,
            verifier: name,
            place: place(log_id, after_seq, tag),
            proof: proof.and_then(|proof| place(proof.log_id, proof.seq, proof.tag)),
        },
        Say::Ack(Ack { log_id, acked_seq, tag, .. }) => {
            Event::Ack { stream, place: place(log_id, acked_seq, tag) }
        }
    }
}

fn answer(stream: StreamNumber, said: Said) -> Option<Event> {
    match said {
        Said::Snapshot(part) if part.last => {
            Some(Event::Snapshot { stream, at: place(part.log_id, part.seq, part.tag)? })
        }
        Said::Delta(delta) => {
            Some(Event::Delta { stream, prev: delta.prev_seq, number: delta.seq, tag: delta.tag })
        }
        Said::Heartbeat(Heartbeat { nonce: Some(_), log_id, head_seq, tag, .. }) => {
            Some(Event::Echo { stream, at: place(log_id, head_seq, tag)? })
        }
        Said::Snapshot(_) | Said::Heartbeat(_) => None,
    }
}

/// Reads messages out of a gRPC body.
#[derive(Debug, Default)]
struct Frames(BytesMut);

impl Frames {
    /// The messages that are whole with this part of the body.
    fn read<M: Message + Default>(&mut self, part: Option<&Bytes>) -> Vec<M> {
        self.0.extend_from_slice(part.map_or(&[][..], |part| part));
        let mut whole = Vec::new();
        // Each has a byte that says whether it is compressed, and four that say its length.
        while let Some(length) = self.0.get(1..5) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if self.0.len() < 5 + length {
                break;
            }
            assert_eq!(self.0.get_u8(), 0, "a compressed message");
            self.0.advance(4);
            whole.push(M::decode(self.0.split_to(length)).unwrap());
        }
        whole
    }
}
