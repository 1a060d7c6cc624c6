//! A verifier in the simulation: the real follower and the real `TrustedIssuer`, over simulated connections.

use std::{
    future::pending,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark::{
    clock::Clock as _,
    issuer::{
        About, Bundle, BundleKey, Followed, Follower, LiveAnswer, Staleness, TrustedIssuer,
        introspection::IntrospectionConfig,
    },
    random::{Random, SeededRandom},
    verify::{
        AcceptedAudiences, AnyAge, Audience, AuthError, Freshness, Issuer, KeySet, Position, Revocations,
        SILENCE, StalePolicy, TokenError, VerifiedToken,
    },
};
use countermark_proto::auth_v1::{IntrospectRequest, introspection_client::IntrospectionClient};
use http::Uri;
use hyper_util::rt::TokioIo;
use protocol_model::Policy;
use tests::world::{AUDIENCE, ISSUER, RESOURCE};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};
use tower::service_fn;
use turmoil::net::TcpStream;
use zeroize::Zeroizing;

use crate::{
    gate::Gate,
    issuer::PORT,
    keys::{Held, Keys},
    queue::Queue,
    replay::Participant,
    time::SimulatedClock,
};

/// A process of a verifier.
#[derive(Clone)]
pub(crate) struct Process {
    /// Number of the process.
    pub(crate) number: u64,
    pub(crate) trusted: TrustedIssuer,
    pub(crate) freshness: Arc<Freshness>,
}

/// The answer of a verifier that had to ask the issuer about a token.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) verifier: usize,
    pub(crate) token: usize,
    /// Time at which the token was sent to the verifier.
    pub(crate) shown_at: Duration,
    pub(crate) answer: Result<(), AuthError>,
}

/// Time for which a bundle is usable.
const BUNDLE_TTL: Duration = Duration::from_secs(60);

/// Interval at which a bundle is written.
const BUNDLE_LOOK: Duration = Duration::from_secs(1);

/// A verifier, running or not. Clones share it.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) policy: StalePolicy,
    pub(crate) stale_after: Duration,
    pub(crate) clock: SimulatedClock,
    pub(crate) gate: Gate,
    pub(crate) issuers: Vec<String>,
    /// The bundle on its disk.
    pub(crate) bundle: Arc<Mutex<Option<Vec<u8>>>>,
    pub(crate) process: Arc<Mutex<Option<Process>>>,
    pub(crate) shown: Queue<(usize, String)>,
    pub(crate) said: Arc<Mutex<Vec<Said>>>,
    pub(crate) seeds: Arc<AtomicU64>,
}

impl Verifier {
    /// The running process. `None` while it is down or suspended.
    pub(crate) fn process(&self) -> Option<Process> {
        (!self.gate.is_closed()).then(|| self.process.lock().unwrap().clone()).flatten()
    }

    /// What the model knows of it.
    pub(crate) fn as_participant(&self) -> Participant {
        let policy = if self.policy == StalePolicy::Allow { Policy::Allow } else { Policy::Deny };
        Participant { name: self.name.clone(), policy, stale_after: self.stale_after }
    }

    /// Sends it a token that it has to ask the issuer about.
    pub(crate) fn show(&self, token: usize, text: String) {
        self.shown.push((token, text));
    }

    /// Runs the process until it crashes.
    pub(crate) async fn run(self) -> turmoil::Result {
        let seed = self.seeds.fetch_add(2, SeqCst);
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
        let connect = self.connect(Arc::clone(&random));
        let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
        let clock = Arc::new(self.clock.clone());
        let begun = self.begin(&revocations, &freshness);
        let keys = Arc::new(Keys {
            issuers: self.issuers.clone(),
            random: Arc::clone(&random),
            freshness: Arc::clone(&freshness),
            clock: self.clock.clone(),
            held: Mutex::new(Held::beginning_with(begun)),
            asking: tokio::sync::Mutex::default(),
        });
        let issuer =
            IntrospectionConfig::new("http://issuer", RESOURCE.0, Zeroizing::new(RESOURCE.1.to_owned()));
        let mut about = About::new(&self.name);
        (about.policy, about.stale_after) = (self.policy, self.stale_after);
        let followed =
            Followed::new(Arc::clone(&revocations), Arc::clone(&freshness), Arc::<Keys>::clone(&keys));
        let kept = followed.clone();
        let follower = Follower::new(&issuer, about, followed, Arc::<SimulatedClock>::clone(&clock), random)?;
        let staleness = Staleness::new(Arc::clone(&freshness), self.stale_after, self.policy)
            .with_introspection(Arc::new(Asking(connect())));
        let audiences = AcceptedAudiences::AnyOf(vec![Audience::new(AUDIENCE)]);
        let verifier = countermark::verify::Verifier::new(Issuer::new(ISSUER), audiences);
        let trusted = TrustedIssuer::new(verifier, Arc::<Keys>::clone(&keys), clock)
            .with_revocations(revocations)
            .with_staleness(staleness);
        *self.process.lock().unwrap() = Some(Process { number: seed, trusted: trusted.clone(), freshness });
        let follower = follower.with_connection(move || connect());
        tokio::join!(follower.follow(pending()), self.answer(trusted), keys.poll(), self.keep(&kept));
        Ok(())
    }

    /// Starts from the bundle on its disk if one is usable. Returns the bundle's keys.
    fn begin(&self, revocations: &Revocations, freshness: &Freshness) -> Option<KeySet> {
        let bytes = self.bundle.lock().unwrap().clone()?;
        let whose = (&Issuer::new(ISSUER), &Audience::new(AUDIENCE));
        let found = Bundle::open(&bytes, &bundle_key(), whose, self.clock.now()).ok()?;
        freshness.stand_at(found.position);
        revocations.change(|set| *set = found.revocations);
        Some(found.keys)
    }

    /// Writes the bundle to its disk regularly.
    async fn keep(&self, followed: &Followed) {
        loop {
            tokio::time::sleep(BUNDLE_LOOK).await;
            let whose = (&Issuer::new(ISSUER), &Audience::new(AUDIENCE));
            let Some(bundle) = Bundle::of(followed, whose, BUNDLE_TTL, &self.clock) else { continue };
            *self.bundle.lock().unwrap() = Some(bundle.seal(&bundle_key()));
        }
    }

    /// Connects to a random issuer.
    fn connect(&self, random: Arc<dyn Random>) -> Arc<dyn Fn() -> Channel + Send + Sync> {
        let (issuers, gate) = (self.issuers.clone(), self.gate.clone());
        Arc::new(move || {
            let [drawn] = random.bytes().unwrap();
            let issuer = issuers[usize::from(drawn) % issuers.len()].clone();
            let to = move |_: Uri| {
                let issuer = issuer.clone();
                async move { Ok::<_, io::Error>(TokioIo::new(TcpStream::connect((issuer, PORT)).await?)) }
            };
            Endpoint::from_static("http://issuer")
                .executor(gate.clone())
                .connect_timeout(Duration::from_secs(3))
                .http2_keep_alive_interval(SILENCE / 2)
                .keep_alive_timeout(SILENCE / 2)
                .keep_alive_while_idle(true)
                .connect_with_connector_lazy(service_fn(to))
        })
    }

    /// Answers requests whose tokens need introspection.
    async fn answer(&self, trusted: TrustedIssuer) {
        loop {
            let (token, text) = self.shown.next().await;
            let (trusted, said, clock, verifier) =
                (trusted.clone(), Arc::clone(&self.said), self.clock.clone(), self.number);
            tokio::spawn(self.gate.hold(async move {
                let shown_at = clock.monotonic();
                let answer = trusted.verify(&text).await.map(drop);
                said.lock().unwrap().push(Said { verifier, token, shown_at, answer });
            }));
        }
    }
}

fn bundle_key() -> BundleKey {
    BundleKey::derived_from(RESOURCE.1)
}

/// Asks an issuer about single tokens over one simulated connection, as [`countermark::issuer::introspection`] does.
#[derive(Clone, Debug)]
struct Asking(Channel);

impl LiveAnswer for Asking {
    fn is_active<'a>(&'a self, token: &'a str) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + 'a>> {
        Box::pin(async move {
            let mut request = Request::new(IntrospectRequest { token: token.to_owned() });
            let credentials = STANDARD.encode(format!("{}:{}", RESOURCE.0, RESOURCE.1));
            request.metadata_mut().insert("authorization", format!("Basic {credentials}").parse().unwrap());
            let mut client = IntrospectionClient::new(self.0.clone());
            let answer = tokio::time::timeout(Duration::from_secs(1), client.introspect(request)).await;
            Some(answer.ok()?.ok()?.into_inner().active)
        })
    }
}

/// The immediate answer of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtOnce {
    Accepted,
    Refused(TokenError),
    Later,
    /// The verifier has to ask the issuer.
    Asks,
}

impl Process {
    pub(crate) fn at_once(&self, token: &str) -> AtOnce {
        match self.trusted.verify_held(token) {
            Some(Ok(AnyAge::Live(live))) => {
                let _: VerifiedToken = live;
                AtOnce::Accepted
            }
            Some(Ok(AnyAge::Expired(_))) => AtOnce::Refused(TokenError::Expired),
            Some(Err(AuthError::Token(error))) => AtOnce::Refused(error),
            Some(Err(AuthError::Stale | AuthError::NoKeys)) => AtOnce::Later,
            Some(Err(other)) => panic!("a verifier never refuses a token with: {other}"),
            None => AtOnce::Asks,
        }
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.freshness.position()
    }
}
