//! The end of a verifier's stream. Only a verifier that stops says goodbye, because the issuer does not wait for it
//! afterwards. The issuer here is a fake, which can break a stream as the real issuer never does.

use std::{pin::Pin, sync::Arc};

use countermark::{
    clock::SystemClock,
    issuer::{About, Followed, Follower, KeySource, introspection::IntrospectionConfig},
    random::SystemRandom,
    verify::KeySet,
};
use countermark_proto::auth_v1::{
    Delta, Entry, Heartbeat, Snapshot, WatchRequest, WatchResponse,
    entry::Matches,
    revocations_server::{Revocations, RevocationsServer},
    watch_response::Response as WatchEvent,
};
use futures_util::{Stream, stream::iter};
use tests::PATIENCE;
use tokio::{
    net::TcpListener,
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        oneshot,
    },
};
use tonic::{Request, Response, Status, Streaming, service::Routes};

/// What the fake issuer sees of a verifier.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The verifier opened a stream.
    Opened,
    /// The verifier ended its requests in order: a goodbye.
    Goodbye,
}

/// A fake issuer: sends the given responses on each stream, and reports what it sees of the verifier.
struct FakeIssuer(Vec<WatchEvent>, UnboundedSender<Seen>);

#[tonic::async_trait]
impl Revocations for FakeIssuer {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (mut requests, seen) = (request.into_inner(), self.1.clone());
        let _ = seen.send(Seen::Opened);
        tokio::spawn(async move {
            loop {
                match requests.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return drop(seen.send(Seen::Goodbye)),
                    Err(_) => return,
                }
            }
        });
        let responses =
            self.0.clone().into_iter().map(|response| Ok(WatchResponse { response: Some(response) }));
        let open = futures_util::stream::pending();
        Ok(Response::new(Box::pin(futures_util::StreamExt::chain(iter(responses.collect::<Vec<_>>()), open))))
    }
}

#[derive(Debug)]
struct NoKeys;

impl KeySource for NoKeys {
    fn held(&self) -> Option<Arc<KeySet>> {
        None
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}

fn delta(prev_seq: u64) -> WatchEvent {
    let entry = Entry { matches: Some(Matches::Jti("one".to_owned())), expires_at: None };
    WatchEvent::Delta(Delta { prev_seq, seq: prev_seq + 1, entry: Some(entry), tag: Vec::new() })
}

/// Returns the event after `Opened`, for a verifier that receives `responses`. With `stops` the verifier stops after
/// the snapshot.
async fn seen_next(responses: Vec<WatchEvent>, stops: bool) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, mut all_seen) = unbounded_channel();
    let routes = Routes::new(RevocationsServer::new(FakeIssuer(responses, seen)));
    let serving = tokio::spawn(async move { axum::serve(listener, routes.into_axum_router()).await });

    let issuer = IntrospectionConfig::new(format!("http://{address}"), "one", String::from("secret").into());
    let followed = Followed::new(Arc::default(), Arc::default(), Arc::new(NoKeys));
    let freshness = Arc::clone(&followed.freshness);
    let clock = Arc::new(SystemClock::new());
    let follower =
        Follower::new(&issuer, About::new("one"), followed, clock, Arc::new(SystemRandom)).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let following = tokio::spawn(follower.follow(async move { drop(stopped.await) }));
    if stops {
        tests::until("it has the snapshot", async || freshness.position()).await;
        stop.send(()).unwrap();
    }
    let mut next =
        async || tokio::time::timeout(PATIENCE, all_seen.recv()).await.expect("something").unwrap();
    assert_eq!(next().await, Seen::Opened);
    let next = next().await;
    following.abort();
    serving.abort();
    next
}

fn beginning() -> Vec<WatchEvent> {
    let snapshot = Snapshot { log_id: vec![1; 16], seq: 5, last: true, ..Snapshot::default() };
    let heartbeat = Heartbeat { head_seq: 5, ..Heartbeat::default() };
    vec![WatchEvent::Snapshot(snapshot), WatchEvent::Heartbeat(heartbeat)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_that_stops_says_goodbye() {
    assert_eq!(seen_next(beginning(), true).await, Seen::Goodbye);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_that_gives_up_a_stream_says_no_goodbye() {
    let with = |last: WatchEvent| [beginning(), vec![last]].concat();
    let short = Heartbeat { head_seq: 9, ..Heartbeat::default() };
    for last in [delta(7), WatchEvent::Heartbeat(short)] {
        assert_eq!(seen_next(with(last), false).await, Seen::Opened, "it comes again");
    }
}
