//! `auth.v1.Revocations`

mod wire;

use std::{pin::Pin, sync::Arc, time::Duration};

use countermark_proto::auth_v1::{
    WatchRequest, WatchResponse, revocations_server::Revocations, watch_request::Request as WireRequest,
};
use countermark_service::limits::LongAnswer;
use futures_util::stream::{Stream, unfold};
use tokio::time::MissedTickBehavior;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Response, Status, Streaming};

use super::{caller::caller, error};
use crate::ops::{
    AuthService,
    caller::Caller,
    watch::stream::{AckSender, WatchStream},
};

/// The longest wait for the first message of a watcher.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval of looks for watchers that have fallen silent.
const LOOK: Duration = Duration::from_secs(1);

/// A watcher counts as silent when so many looks in a row find no acknowledgement. Messages that wait to be read are read
/// first.
const LOOKS: u32 = 3;

/// Sends watchers the revocations as they happen.
#[derive(Debug)]
pub struct Revoker {
    auth: Arc<AuthService>,
    stop: CancellationToken,
}

impl Revoker {
    /// Sends the revocations of `auth`, until `stop`.
    #[must_use]
    pub fn new(auth: Arc<AuthService>, stop: CancellationToken) -> Self {
        Self { auth, stop }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// A caller that wants to watch, and its messages.
type Opening = (Arc<AuthService>, Caller, Streaming<WatchRequest>);

/// The stage of a stream.
enum Stage {
    Opening(Box<Opening>),
    Open(Box<WatchStream>, AbortOnDropHandle<Status>),
    Over,
}

#[tonic::async_trait]
impl Revocations for Revoker {
    type WatchStream = Answers;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(request.extensions())?;
        let begin = Stage::Opening(Box::new((Arc::clone(&self.auth), caller, request.into_inner())));
        let stop = self.stop.clone();
        let answers = unfold(begin, move |stage| {
            let stop = stop.clone();
            async move {
                let next = tokio::select! {
                    biased;
                    () = stop.cancelled(), if !matches!(stage, Stage::Over) => Err(stopping()),
                    next = next(stage) => next.transpose()?,
                };
                Some(match next {
                    Ok((answer, stage)) => (Ok(answer), stage),
                    Err(status) => (Err(status), Stage::Over),
                })
            }
        });
        let mut response: Response<Answers> = Response::new(Box::pin(answers));
        response.extensions_mut().insert(LongAnswer);
        Ok(response)
    }
}

fn stopping() -> Status {
    Status::unavailable("the service is stopping; watch again, elsewhere or a little later")
}

/// The next answer, and the stage after it; `None` at the end of the stream.
async fn next(stage: Stage) -> Result<Option<(WatchResponse, Stage)>, Status> {
    let (mut stream, mut listening) = match stage {
        Stage::Opening(opening) => open(*opening).await?,
        Stage::Open(stream, listening) => (stream, listening),
        Stage::Over => return Ok(None),
    };
    tokio::select! {
        biased;
        ended = &mut listening => match ended {
            Ok(status) if status.code() == tonic::Code::Ok => Ok(None),
            Ok(status) => Err(status),
            Err(_) => Err(Status::internal("the service failed; the failure was logged")),
        },
        event = stream.next() => {
            let event = event.map_err(error::watch)?;
            Ok(Some((wire::response(event, stream.takes_fingerprints()), Stage::Open(stream, listening))))
        }
    }
}

async fn open(
    (auth, caller, mut requests): Opening,
) -> Result<(Box<WatchStream>, AbortOnDropHandle<Status>), Status> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, requests.message());
    let first = first.await.map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let Some(WireRequest::Hello(hello)) = first.and_then(|first| first.request) else {
        return Err(Status::invalid_argument("the first request of a watch is hello"));
    };
    let begun = auth.watch.begin(caller, wire::hello(hello)?).await;
    let stream = Box::new(begun.map_err(error::watch)?);
    let listening = tokio::spawn(listen(requests, stream.ack_sender()));
    Ok((stream, AbortOnDropHandle::new(listening)))
}

/// Reads a watcher's messages until it ends its stream, breaks off, or falls silent. Returns the status that the stream
/// ends with.
async fn listen(mut requests: Streaming<WatchRequest>, acks: AckSender) -> Status {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut quiet) = (0, 0);
    loop {
        tokio::select! {
            biased;
            message = requests.message() => match message {
                Ok(Some(WatchRequest { request: Some(WireRequest::Ack(ack)) })) => acks.acknowledge(wire::ack(ack)),
                Ok(Some(_)) => return Status::invalid_argument("every request of a watch but the first is ack"),
                Ok(None) => {
                    acks.say_goodbye();
                    return Status::ok("");
                }
                Err(status) => return status,
            },
            _ = looks.tick() => {
                quiet = if acks.acks() == seen { quiet + 1 } else { 0 };
                seen = acks.acks();
                if quiet >= LOOKS && acks.is_silent() {
                    return Status::deadline_exceeded("nothing was acknowledged for too long");
                }
            }
        }
    }
}
