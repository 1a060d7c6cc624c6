//! [`Follower`]: follows the issuer's revocation log over a stream, opens the stream again when it breaks, and records how
//! current the set is.
//!
//! Clock, randomness and connection are arguments. It waits with tokio's timers, which a simulation moves.

use std::{fmt, sync::Arc, time::Duration};

use countermark_proto::auth_v1::{
    Hello, Proof, StalePolicy as WirePolicy, WatchRequest, WatchResponse,
    revocations_client::RevocationsClient, watch_request::Request as Say,
};
use futures_util::stream::poll_fn;
use http::{HeaderValue, header::AUTHORIZATION};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{Request, Streaming, transport::Channel};

use super::{
    Followed,
    forgetting::Forgetting,
    reading::{Broken, Reading, tag_bytes},
};
use crate::verify::{ProvenPosition, SILENCE, StalePolicy};
use crate::{
    clock::Clock,
    issuer::introspection::{IntrospectionConfig, InvalidConfig},
    random::Random,
};

/// How long the issuer may be silent before a verifier is stale, unless it says otherwise.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// Longest time for the issuer to open a stream.
const OPENING: Duration = Duration::from_secs(5);

/// Interval of acknowledgements when nothing changes.
const TICK: Duration = Duration::from_secs(1);

/// Longest pause before the second try. It doubles from try to try. The real pause is between half of it and all of it, so
/// that many verifiers don't come back at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Longest time for the issuer to end a stream that this side has ended.
const PARTING: Duration = Duration::from_millis(500);

/// Interval of the checks for staleness and for expired revocations.
const LOOK: Duration = Duration::from_millis(500);

/// The signature algorithm that this crate verifies.
const ALGORITHM: &str = "RS256";

/// What a verifier says about itself to the issuer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct About {
    /// Its name in `auth-service doctor`: at most 255 bytes.
    pub name: String,
    /// The version of its software: at most 255 bytes.
    pub version: String,
    /// What it does with good tokens when it is stale.
    pub policy: StalePolicy,
    /// How long the issuer may be silent before it is stale.
    pub stale_after: Duration,
    /// How far clocks may differ: it forgets revocations of expired tokens only after that.
    pub leeway: Duration,
}

impl About {
    /// A verifier of that name, of this crate's version, that accepts good tokens when it is stale after 5 s, without leeway.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            policy: StalePolicy::Allow,
            stale_after: STALE_AFTER,
            leeway: Duration::ZERO,
        }
    }
}

/// Makes a connection to the issuer. Each stream gets a new one, so a dead connection is never used again.
type Connect = Arc<dyn Fn() -> Channel + Send + Sync>;

/// Follows the issuer's log of revocations. [`FollowedIssuer`](super::FollowedIssuer) is made of one, and is what a service
/// needs; this part is for keys and connections of your own.
#[derive(Clone)]
pub struct Follower {
    connect: Connect,
    authorization: HeaderValue,
    about: About,
    followed: Followed,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// How a stream ended.
enum Ended {
    /// This side ended it.
    Stopped,
    /// It broke, and is opened again. `was_answered`: the issuer had answered over this stream.
    Broken { reason: Broken, was_answered: bool },
}

impl Follower {
    /// Makes a follower of the issuer that `issuer` describes. Nothing is sent yet.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the setting that can't be used.
    pub fn new(
        issuer: &IntrospectionConfig,
        about: About,
        followed: Followed,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, InvalidConfig> {
        // A dead connection is given up at about the time when the verifier notices the silence.
        let endpoint =
            issuer.endpoint()?.http2_keep_alive_interval(SILENCE / 2).keep_alive_timeout(SILENCE / 2);
        let connect = Arc::new(move || endpoint.connect_lazy());
        Ok(Self { connect, authorization: issuer.authorization()?, about, followed, clock, random })
    }

    /// Connects with `connect` instead of a socket, for example to a simulated network.
    #[must_use]
    pub fn with_connection(self, connect: impl Fn() -> Channel + Send + Sync + 'static) -> Self {
        Self { connect: Arc::new(connect), ..self }
    }

    /// Follows until `stop`. Then it ends the stream, so that the issuer knows that this verifier is gone.
    pub async fn follow(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = self.streams(stop) => {}
            () = self.forget_expired() => {}
            () = self.look_for_staleness() => {}
        }
    }

    /// One stream after the other.
    async fn streams(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let (mut pause, mut said) = (FIRST_PAUSE, None);
        loop {
            let ended = self.stream(&mut stop).await;
            self.followed.freshness.cut_off();
            let Ended::Broken { reason, was_answered } = ended else { return };
            // Logged once, not at each try.
            let kind = reason.kind();
            if was_answered || said != Some(kind) {
                tracing::warn!(%reason, revocations.seq = self.followed.freshness.seq().number(), "the issuer's stream broke");
            }
            (pause, said) = if was_answered { (FIRST_PAUSE, None) } else { (pause, Some(kind)) };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = sleep(self.random.jittered(pause)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn stream(&self, stop: &mut (impl Future<Output = ()> + Unpin)) -> Ended {
        let mut reading = Reading::new(self.followed.clone(), Arc::clone(&self.clock));
        let broken =
            |reason, reading: &Reading| Ended::Broken { reason, was_answered: reading.was_answered() };
        let (requests, mut queue) = mpsc::channel(1);
        let requests_open = requests.try_send(self.hello()).is_ok();
        debug_assert!(requests_open);
        let mut request = Request::new(poll_fn(move |context| queue.poll_recv(context)));
        request.metadata_mut().as_mut().insert(AUTHORIZATION, self.authorization.clone());
        let mut grpc = RevocationsClient::new((self.connect)());
        let opened = tokio::select! {
            biased;
            () = &mut *stop => return Ended::Stopped,
            opened = timeout(OPENING, grpc.watch(request)) => opened,
        };
        let mut responses = match opened {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return broken(status.into(), &reading),
            Err(_) => return broken(Broken::Silence, &reading),
        };
        let parting = tokio::select! {
            biased;
            () = &mut *stop => None,
            reason = talk(&mut reading, &requests, &mut responses) => Some(reason),
        };
        if let Some(reason) = parting {
            // The end of the requests would say goodbye, and the issuer would no longer wait for this verifier. So the requests stay open
            // as long as the connection.
            tokio::spawn(async move { requests.closed().await });
            return broken(reason, &reading);
        }
        drop(requests);
        // A stream that is dropped at once would look broken to the issuer.
        let parted = async { while let Ok(Some(_)) = responses.message().await {} };
        drop(timeout(PARTING, parted).await);
        Ended::Stopped
    }

    fn hello(&self) -> WatchRequest {
        let position = self.followed.freshness.position();
        let hello = Hello {
            log_id: position.map_or_else(Vec::new, |position| position.log_id.bytes().to_vec()),
            after_seq: self.followed.freshness.seq().number(),
            name: self.about.name.clone(),
            version: self.about.version.clone(),
            policy: WirePolicy::from(self.about.policy).into(),
            stale_after: prost_types::Duration::try_from(self.about.stale_after).ok(),
            tag: position.map_or_else(Vec::new, |position| tag_bytes(position.tag)),
            proof: self.followed.freshness.proven().map(proof),
            algorithms: vec![ALGORITHM.to_owned()],
            takes_fingerprints: true,
            ..Hello::default()
        };
        WatchRequest { request: Some(Say::Hello(hello)) }
    }

    /// Removes expired revocations, again and again.
    async fn forget_expired(&self) {
        let mut forgetting = Forgetting::beginning_at(self.clock.monotonic());
        loop {
            if let Some(now) = forgetting.due(self.clock.now(), self.clock.monotonic()) {
                self.followed.revocations.forget_expired(now, self.about.leeway);
            }
            sleep(LOOK).await;
        }
    }

    /// Logs when the verifier becomes stale, and when it is current again.
    async fn look_for_staleness(&self) {
        let mut was_stale = false;
        loop {
            sleep(LOOK).await;
            let Followed { freshness, .. } = &self.followed;
            let now = self.clock.monotonic();
            let is_stale = freshness.is_stale(now, self.about.stale_after);
            if is_stale != was_stale {
                let (seq, last_seen) =
                    (freshness.seq().number(), freshness.heard_ago(now).map(|ago| ago.as_millis()));
                if is_stale {
                    tracing::warn!(revocations.seq = seq, revocations.heard_ms_ago = ?last_seen, policy = %self.about.policy, "stale: revocations may be missing");
                } else {
                    tracing::info!(revocations.seq = seq, revocations.heard_ms_ago = ?last_seen, "current: every revocation is known");
                }
            }
            was_stale = is_stale;
        }
    }
}

fn proof(ProvenPosition { position, proof }: ProvenPosition) -> Proof {
    Proof {
        log_id: position.log_id.bytes().to_vec(),
        seq: position.seq.number(),
        tag: tag_bytes(position.tag),
        mac: proof.to_vec(),
    }
}

/// Applies the messages of the issuer and acknowledges them: at once when something changed, and each second.
async fn talk(
    reading: &mut Reading,
    requests: &mpsc::Sender<WatchRequest>,
    responses: &mut Streaming<WatchResponse>,
) -> Broken {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet = 0;
    let mut fetching = None;
    loop {
        if fetching.is_none() {
            fetching = reading.fetch_missing_keys();
        }
        let fetched = async {
            match &mut fetching {
                Some(fetch) => fetch.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = responses.message() => match message {
                Ok(Some(response)) => {
                    quiet = 0;
                    if let Err(broken) = reading.read(response) {
                        return broken;
                    }
                }
                Ok(None) => return Broken::Ended,
                Err(status) => return status.into(),
            },
            () = fetched => {
                fetching = None;
                reading.owe_ack();
            }
            permit = requests.reserve(), if reading.owes_ack() => match permit {
                Ok(permit) => permit.send(reading.ack()),
                Err(_) => return Broken::Ended,
            },
            _ = ticks.tick() => {
                if TICK * quiet > SILENCE {
                    return Broken::Silence;
                }
                quiet += 1;
                reading.owe_ack();
            }
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("about", &self.about).finish_non_exhaustive()
    }
}
