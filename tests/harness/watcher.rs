//! A client of the revocation stream. It follows the contract only and uses none of our verifier code, like a verifier
//! in any language.

use std::time::Duration;

use countermark_proto::auth_v1::{
    Ack, Entry, Heartbeat, Hello, Proof, StalePolicy, WatchRequest, WatchResponse, entry::Matches,
    revocations_client::RevocationsClient, watch_request::Request as WireRequest,
    watch_response::Response as WatchEvent,
};
use futures_util::stream::unfold;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tonic::{Status, Streaming};

use crate::{PATIENCE, grpc::Grpc};

/// The hello of a verifier that becomes stale after 5 s, then refuses tokens, and has applied no entries yet.
pub fn hello(name: &str) -> Hello {
    Hello {
        log_id: Vec::new(),
        after_seq: 0,
        name: name.to_owned(),
        version: "1.0".to_owned(),
        policy: StalePolicy::Deny.into(),
        stale_after: Some(Duration::from_secs(5).try_into().unwrap()),
        ..Hello::default()
    }
}

/// A running watch, and everything that it received.
#[derive(Debug)]
pub struct Watcher {
    requests: Option<UnboundedSender<WatchRequest>>,
    answers: Streaming<WatchResponse>,
    pub hello: Hello,
    pub log_id: Vec<u8>,
    pub seq: u64,
    pub tag: Vec<u8>,
    pub entries: Vec<Entry>,
    /// Whether more parts of a snapshot are expected.
    is_in_snapshot: bool,
    /// Number of snapshot parts received.
    pub parts: usize,
    pub heartbeat: Heartbeat,
    nonce: u64,
}

impl Watcher {
    /// Starts a watch.
    pub async fn begin(grpc: &Grpc, hello: Hello) -> Result<Self, Status> {
        let (requests, taken) = unbounded_channel();
        let (log_id, seq, tag) = (hello.log_id.clone(), hello.after_seq, hello.tag.clone());
        requests.send(WatchRequest { request: Some(WireRequest::Hello(hello.clone())) }).unwrap();
        let stream = unfold(taken, async |mut taken| Some((taken.recv().await?, taken)));
        let answers = RevocationsClient::new(grpc.channel()).watch(grpc.request(Box::pin(stream))).await?;
        Ok(Self {
            requests: Some(requests),
            answers: answers.into_inner(),
            hello,
            log_id,
            seq,
            tag,
            entries: Vec::new(),
            is_in_snapshot: false,
            parts: 0,
            heartbeat: Heartbeat::default(),
            nonce: 0,
        })
    }

    /// Starts a watch and receives until the first heartbeat.
    pub async fn current(grpc: &Grpc, hello: Hello) -> Self {
        let mut watcher = Self::begin(grpc, hello).await.expect("a watch");
        watcher.until(|watcher| !watcher.heartbeat.key_set_version.is_empty()).await;
        watcher
    }

    /// A hello that resumes after the last received entry.
    pub fn resume(&self) -> Hello {
        let proof = (!self.heartbeat.proof.is_empty()).then(|| Proof {
            log_id: self.heartbeat.log_id.clone(),
            seq: self.heartbeat.head_seq,
            tag: self.heartbeat.tag.clone(),
            mac: self.heartbeat.proof.clone(),
        });
        let (log_id, tag) = (self.log_id.clone(), self.tag.clone());
        Hello { log_id, after_seq: self.seq, tag, proof, ..self.hello.clone() }
    }

    /// Sends any request.
    pub fn say(&self, request: WireRequest) {
        // The send fails when the stream is over. That is not an error here.
        let requests = self.requests.as_ref().expect("it has not said goodbye");
        let _ = requests.send(WatchRequest { request: Some(request) });
    }

    /// Acknowledges everything received so far. Returns the nonce.
    pub fn ack(&mut self) -> u64 {
        self.ack_with(&Ack::default())
    }

    /// Acknowledges with the other fields of `ack`, such as the wall clock.
    pub fn ack_with(&mut self, ack: &Ack) -> u64 {
        self.nonce += 1;
        let (acked_key_set, nonce) = (self.heartbeat.key_set_version.clone(), self.nonce);
        let (log_id, tag) = (self.log_id.clone(), self.tag.clone());
        let acked_seq = self.seq;
        self.say(WireRequest::Ack(Ack { acked_seq, acked_key_set, nonce, log_id, tag, ..ack.clone() }));
        self.nonce
    }

    /// Acknowledges, and waits for the echo of the nonce.
    pub async fn confirm(&mut self) {
        let nonce = self.ack();
        self.until(|watcher| watcher.heartbeat.nonce == Some(nonce)).await;
    }

    /// Ends the client's side of the stream, as a verifier does when it stops.
    pub fn goodbye(&mut self) {
        self.requests = None;
    }

    /// Receives messages until `is_enough` returns true.
    pub async fn until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        let receiving = async {
            while !is_enough(self) {
                assert!(self.receive().await.expect("the watch goes on"), "the watch ended");
            }
        };
        tokio::time::timeout(PATIENCE, receiving).await.expect("it never came");
    }

    /// Receives messages up to the entry `seq`.
    pub async fn until_seq(&mut self, seq: u64) {
        self.until(|watcher| watcher.seq >= seq).await;
    }

    /// Receives messages until the watch ends. Returns its status.
    pub async fn end(&mut self) -> Status {
        let receiving = async {
            loop {
                match self.receive().await {
                    Ok(true) => {}
                    Ok(false) => return Status::ok(""),
                    Err(status) => return status,
                }
            }
        };
        tokio::time::timeout(PATIENCE, receiving).await.expect("it never ended")
    }

    /// Receives one message and checks it against the contract. Returns `false` at the end of the stream.
    pub async fn receive(&mut self) -> Result<bool, Status> {
        let Some(answer) = self.answers.message().await? else { return Ok(false) };
        match answer.response.expect("an answer") {
            WatchEvent::Snapshot(part) => {
                if !self.is_in_snapshot {
                    self.entries.clear();
                }
                self.parts += 1;
                self.entries.extend(part.entries);
                self.is_in_snapshot = !part.last;
                if part.last {
                    (self.log_id, self.seq, self.tag) = (part.log_id, part.seq, part.tag);
                }
            }
            WatchEvent::Delta(delta) => {
                assert!(!self.is_in_snapshot, "the parts of a snapshot follow each other");
                assert_eq!(delta.prev_seq, self.seq, "no gap");
                assert!(delta.seq > self.seq);
                (self.seq, self.tag) = (delta.seq, delta.tag);
                self.entries.push(delta.entry.expect("an entry"));
            }
            WatchEvent::Heartbeat(heartbeat) => {
                assert_eq!(heartbeat.head_seq, self.seq, "all up to the head was sent before");
                assert_eq!((&heartbeat.log_id, &heartbeat.tag), (&self.log_id, &self.tag), "one position");
                self.heartbeat = heartbeat;
            }
        }
        Ok(true)
    }

    /// Whether a revocation of this session was received.
    pub fn knows_of(&self, sid: &str) -> bool {
        self.entries.iter().any(|entry| entry.matches == Some(Matches::Sid(sid.to_owned())))
    }
}
