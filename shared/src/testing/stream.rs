//! The issuer's stream of revocations (`auth.v1.Revocations`), for tests of a service that follows it.

use std::pin::Pin;

use countermark_proto::auth_v1::{
    Ack, Delta, Heartbeat, Hello, Snapshot, WatchRequest, WatchResponse, revocations_server::Revocations,
    watch_request::Request as Say, watch_response::Response as Said,
};
use futures_util::{Stream, stream::poll_fn};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::TestIssuer;

/// Id of the test issuer's log.
const LOG_ID: &[u8] = b"a test's own log";

/// Number of responses that may wait for a verifier that does not read.
const QUEUE: usize = 64;

/// Serves the stream to every client, without authentication.
pub(super) struct Watched(pub(super) TestIssuer);

#[tonic::async_trait]
impl Revocations for Watched {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut asked = request.into_inner();
        let Some(WatchRequest { request: Some(Say::Hello(hello)) }) = asked.message().await? else {
            return Err(Status::invalid_argument("the first request has to be a hello"));
        };
        let (sender, mut responses) = mpsc::channel(QUEUE);
        tokio::spawn(WatchStream { issuer: self.0.clone(), position: 0, sender }.run(hello, asked));
        Ok(Response::new(Box::pin(poll_fn(move |context| {
            responses.poll_recv(context).map(|said| said.map(Ok))
        }))))
    }
}

/// The stream to one verifier.
struct WatchStream {
    issuer: TestIssuer,
    /// Position of the last entry that was sent.
    position: usize,
    sender: mpsc::Sender<WatchResponse>,
}

/// The verifier has disconnected.
struct Gone;

impl WatchStream {
    async fn run(mut self, hello: Hello, mut asked: Streaming<WatchRequest>) {
        let mut head = self.issuer.log().head.subscribe();
        let mut is_open = self.begin(&hello).await.is_ok();
        while is_open {
            is_open = tokio::select! {
                changed = head.changed() => changed.is_ok() && self.catch_up().await.is_ok(),
                said = asked.message() => match said {
                    Ok(Some(WatchRequest { request: Some(Say::Ack(ack)) })) => self.echo(&ack).await.is_ok(),
                    Ok(Some(_) | None) | Err(_) => false,
                },
            };
        }
    }

    /// Sends a snapshot to a verifier with another log, and only the newer entries to one with this log.
    async fn begin(&mut self, hello: &Hello) -> Result<(), Gone> {
        let after = usize::try_from(hello.after_seq).unwrap_or(usize::MAX);
        if hello.log_id == LOG_ID && after <= self.issuer.log().entries().len() {
            self.position = after;
            return self.catch_up().await;
        }
        let entries = self.issuer.log().since(0);
        self.position = entries.len();
        let entries = entries.into_iter().map(Into::into).collect();
        let (log_id, seq, tag) = (LOG_ID.to_vec(), number(self.position), tag(self.position));
        self.say(Said::Snapshot(Snapshot { log_id, seq, entries, last: true, tag })).await
    }

    async fn catch_up(&mut self) -> Result<(), Gone> {
        for entry in self.issuer.log().since(self.position) {
            let prev_seq = number(self.position);
            self.position += 1;
            let (seq, entry, tag) = (number(self.position), Some(entry.into()), tag(self.position));
            self.say(Said::Delta(Delta { prev_seq, seq, entry, tag })).await?;
        }
        Ok(())
    }

    async fn echo(&mut self, ack: &Ack) -> Result<(), Gone> {
        // All entries up to the head are sent before the heartbeat.
        self.catch_up().await?;
        let heartbeat = Heartbeat {
            head_seq: number(self.position),
            key_set_version: self.issuer.key_set_version(),
            nonce: Some(ack.nonce),
            log_id: LOG_ID.to_vec(),
            tag: tag(self.position),
            proof: Vec::new(),
        };
        self.say(Said::Heartbeat(heartbeat)).await
    }

    async fn say(&self, response: Said) -> Result<(), Gone> {
        self.sender.send(WatchResponse { response: Some(response) }).await.map_err(|_| Gone)
    }
}

/// The tag of an entry. This log is never set back, so its numbers tell entries apart.
fn tag(position: usize) -> Vec<u8> {
    [*b"entry---", number(position).to_be_bytes()].concat()
}

fn number(position: usize) -> u64 {
    u64::try_from(position).unwrap_or(u64::MAX)
}
