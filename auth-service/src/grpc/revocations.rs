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

use super::{caller::caller, error::status};
use crate::ops::{
    AuthService,
    oauth::authenticate_client::Caller,
    watch::stream::{AckSender, Watch},
};

/// How long a watcher may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How often is looked for watchers that have fallen silent.
const LOOK: Duration = Duration::from_secs(1);

/// So many looks in a row find nothing new before a watcher counts as silent: what waits to be read is read first.
const LOOKS: u32 = 3;

/// Tells watchers of revocations as they happen.
#[derive(Debug)]
pub struct Revoker {
    auth: Arc<AuthService>,
    stop: CancellationToken,
}

impl Revoker {
    /// Tells what `hall` knows, until `stop`.
    #[must_use]
    pub fn new(auth: Arc<AuthService>, stop: CancellationToken) -> Self {
        Self { auth, stop }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// Who wants to watch, and what comes of it.
type Opening = (Arc<AuthService>, Caller, Streaming<WatchRequest>);

/// How far a stream has come.
enum Stage {
    Opening(Box<Opening>),
    Open(Box<Watch>, AbortOnDropHandle<Status>),
    Over,
}

#[tonic::async_trait]
impl Revocations for Revoker {
    type WatchStream = Answers;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(&self.auth, request.metadata()).map_err(|error| status(&error))?;
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
    let (mut watch, mut listening) = match stage {
        Stage::Opening(opening) => open(*opening).await?,
        Stage::Open(watch, listening) => (watch, listening),
        Stage::Over => return Ok(None),
    };
    tokio::select! {
        biased;
        ended = &mut listening => match ended {
            Ok(status) if status.code() == tonic::Code::Ok => Ok(None),
            Ok(status) => Err(status),
            Err(_) => Err(Status::internal("the service failed; the failure was logged")),
        },
        told = watch.next() => {
            let told = told.map_err(|error| status(&error))?;
            Ok(Some((wire::response(told), Stage::Open(watch, listening))))
        }
    }
}

async fn open(
    (auth, caller, mut requests): Opening,
) -> Result<(Box<Watch>, AbortOnDropHandle<Status>), Status> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, requests.message());
    let first = first.await.map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let Some(WireRequest::Hello(hello)) = first.and_then(|first| first.request) else {
        return Err(Status::invalid_argument("the first request of a watch is hello"));
    };
    let watch = Box::new(auth.watch(&caller, wire::hello(hello)?));
    let listening = tokio::spawn(listen(requests, watch.ear()));
    Ok((watch, AbortOnDropHandle::new(listening)))
}

/// Listens to a watcher until it ends its stream, breaks off, or falls silent; answers how the stream is to end.
async fn listen(mut requests: Streaming<WatchRequest>, ear: AckSender) -> Status {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut acks, mut quiet) = (0, 0);
    loop {
        tokio::select! {
            biased;
            message = requests.message() => match message {
                Ok(Some(WatchRequest { request: Some(WireRequest::Ack(ack)) })) => ear.acknowledge(wire::ack(ack)),
                Ok(Some(_)) => return Status::invalid_argument("every request of a watch but the first is ack"),
                Ok(None) => {
                    ear.say_goodbye();
                    return Status::ok("");
                }
                Err(status) => return status,
            },
            _ = looks.tick() => {
                quiet = if ear.acks() == acks { quiet + 1 } else { 0 };
                acks = ear.acks();
                if quiet >= LOOKS && ear.is_silent() {
                    return Status::deadline_exceeded("nothing was acknowledged for too long");
                }
            }
        }
    }
}
