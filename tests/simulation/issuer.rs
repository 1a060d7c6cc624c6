//! The issuer in the simulation: the real hall over a real database, and the real services, over simulated connections.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use auth_service::{
    domain::{granting::Asked, session::Device},
    grpc::{introspection::Introspector, revocations::Revoker},
    ops::{
        Hall,
        caller::{Credentials, OAuthClient},
    },
};
use futures_util::{Stream, StreamExt as _, future::ready};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use proto::auth_v1::{
    WatchRequest, WatchResponse,
    introspection_server::IntrospectionServer,
    revocations_server::{Revocations, RevocationsServer},
    watch_response::Response as Told,
};
use shared::{clock::Clock as _, jwks::KeySet, random::SeededRandom, service::surroundings::Surroundings};
use tempfile::TempDir;
use tests::world::{AUDIENCE, ISSUER, RESOURCE, auth_config};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use turmoil::net::TcpListener;
use zeroize::Zeroizing;

use crate::{gate::Gate, queue::Queue, time::SimulatedClock};

/// The port of its gRPC services.
pub(crate) const PORT: u16 = 50_051;

/// How long its tokens live.
pub(crate) const TTL: Duration = Duration::from_mins(2);

/// An issuer that has its keys and its client, to be copied: making keys takes long.
static MADE: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = place();
    fs::write(
        folder.path().join("bootstrap.toml"),
        format!(
            "[[audiences]]\nid = \"{AUDIENCE}\"\nscopes = [\"read\"]\n\n[[clients]]\nid = \"{}\"\nsecret = \"{}\"\n\
             grants = [\"client_credentials\"]\nscopes = [\"introspect\", \"read\"]\naudiences = [\"{AUDIENCE}\"]\n",
            RESOURCE.0, RESOURCE.1
        ),
    )
    .unwrap();
    let config = || auth_config(settings(folder.path(), true)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let surroundings = Surroundings {
            clock: Arc::new(SimulatedClock::default()),
            random: Arc::new(SeededRandom::new(0)),
        };
        let (_, hall) = auth_service::app::open(&config(), &surroundings).await.unwrap();
        hall.apply(config().bootstrap).await.unwrap();
    });
    folder
});

/// A folder in memory, where there is one: what is synced to a disk takes time that is nobody's business here.
fn place() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn settings(folder: &Path, with_bootstrap: bool) -> BTreeMap<String, String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut settings = BTreeMap::from([
        ("AUTH_ISSUER".to_owned(), ISSUER.to_owned()),
        ("AUTH_ACCESS_TTL".to_owned(), format!("{}s", TTL.as_secs())),
        ("AUTH_REFRESHED_ACCESS_TTL".to_owned(), format!("{}s", TTL.as_secs())),
        ("AUTH_DATABASE_URL".to_owned(), format!("sqlite://{}", path("auth.db"))),
        ("AUTH_MASTER_KEY_FILE".to_owned(), path("master.key")),
    ]);
    if with_bootstrap {
        settings.insert("AUTH_BOOTSTRAP_FILE".to_owned(), path("bootstrap.toml"));
    }
    settings
}

async fn open(folder: &Path, clock: &SimulatedClock, seed: u64) -> (Arc<KeySet>, Arc<Hall>) {
    let mut config = auth_config(settings(folder, false)).unwrap();
    config.database = config.database.written_in_place();
    let surroundings =
        Surroundings { clock: Arc::new(clock.clone()), random: Arc::new(SeededRandom::new(seed)) };
    let (ring, hall) = auth_service::app::open(&config, &surroundings).await.expect("it opens");
    (ring.public(), hall)
}

/// The database that the issuers share, and who mints.
pub(crate) struct Mint {
    pub(crate) folder: TempDir,
    pub(crate) keys: Arc<KeySet>,
    hall: Arc<Hall>,
    client: OAuthClient,
    runtime: Runtime,
}

impl Mint {
    pub(crate) fn new(clock: &SimulatedClock, seed: u64) -> Self {
        let folder = place();
        for name in ["auth.db", "master.key"] {
            fs::copy(MADE.path().join(name), folder.path().join(name)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let secret = Zeroizing::new(RESOURCE.1.to_owned());
        let (keys, hall, client) = runtime.block_on(async {
            let (keys, hall) = open(folder.path(), clock, seed).await;
            let shown = Credentials::Secret { id: RESOURCE.0.to_owned(), secret };
            let client = hall.authenticate_client(&shown).await.unwrap();
            (keys, hall, client)
        });
        Self { folder, keys, hall, client, runtime }
    }

    pub(crate) fn token(&self) -> String {
        let asked = Asked::default();
        let issued = self.runtime.block_on(self.hall.issue_service_token(&self.client, &asked));
        issued.unwrap().access_token
    }
}

/// What an issuer is told to do with the token of that number: revoke it, and perhaps wait until that holds everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) token: usize,
    pub(crate) wait: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    Revoked { token: usize, at: Duration },
    Confirmed { token: usize, at: Duration, is_complete: bool },
}

/// One process of the issuer, whether it runs or not. Clones share it.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) clock: SimulatedClock,
    pub(crate) gate: Gate,
    orders: Queue<(Order, String)>,
    done: Arc<Mutex<Vec<Done>>>,
    folder: std::path::PathBuf,
    seeds: Arc<AtomicU64>,
    /// One delta in so many is lost on the way; 0: none.
    pub(crate) loses: Arc<AtomicUsize>,
}

impl Issuer {
    pub(crate) fn new(
        name: String,
        clock: SimulatedClock,
        mint: &Mint,
        seed: u64,
        loses: Arc<AtomicUsize>,
        done: Arc<Mutex<Vec<Done>>>,
    ) -> Self {
        let seeds = Arc::new(AtomicU64::new(seed));
        let folder = mint.folder.path().to_owned();
        Self { name, clock, gate: Gate::default(), orders: Queue::default(), done, folder, seeds, loses }
    }

    pub(crate) fn order(&self, order: Order, token: String) {
        self.orders.push((order, token));
    }

    /// Runs it, until it crashes.
    pub(crate) async fn run(self) -> turmoil::Result {
        let seed = self.seeds.fetch_add(1, SeqCst);
        let (_, hall) = open(&self.folder, &self.clock, seed).await;
        let watch = Lossy {
            inner: Revoker::new(Arc::clone(&hall), CancellationToken::new()),
            one_in: Arc::clone(&self.loses),
        };
        let router = Routes::new(IntrospectionServer::new(Introspector::new(Arc::clone(&hall))))
            .add_service(RevocationsServer::new(watch))
            .prepare()
            .into_axum_router();
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        tokio::join!(self.serve(listener, router), self.obey(&hall), hall.keep_current());
        Ok(())
    }

    async fn serve(&self, listener: TcpListener, router: axum::Router) {
        let mut http = http2::Builder::new(self.gate.clone());
        http.timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(self.gate.hold(http.serve_connection(TokioIo::new(stream), service)));
        }
    }

    /// What requests would do.
    async fn obey(&self, hall: &Arc<Hall>) {
        loop {
            let (Order { token, wait }, text) = self.orders.next().await;
            let (hall, clock, done) = (Arc::clone(hall), self.clock.clone(), Arc::clone(&self.done));
            tokio::spawn(self.gate.hold(async move {
                let client = RESOURCE.0.parse().unwrap();
                if hall.revoke_token(&client, &text, &Device::default()).await.is_err() {
                    return;
                }
                done.lock().unwrap().push(Done::Revoked { token, at: clock.monotonic() });
                if !wait {
                    return;
                }
                let Ok(revoked) = hall.revoked_so_far() else { return };
                let Ok(confirmation) = hall.confirm(revoked).await else { return };
                let (at, is_complete) = (clock.monotonic(), confirmation.is_complete());
                done.lock().unwrap().push(Done::Confirmed { token, at, is_complete });
            }));
        }
    }
}

/// The real service, behind something broken that loses deltas.
struct Lossy {
    inner: Revoker,
    one_in: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Revocations for Lossy {
    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let answers = self.inner.watch(request).await?.into_inner();
        let (one_in, mut deltas) = (Arc::clone(&self.one_in), 0);
        Ok(Response::new(Box::pin(answers.filter(move |answer| {
            let is_delta =
                answer.as_ref().is_ok_and(|answer| matches!(answer.response, Some(Told::Delta(_))));
            deltas += usize::from(is_delta);
            let one_in = one_in.load(SeqCst);
            ready(!(is_delta && one_in > 0 && deltas % one_in == 0))
        }))))
    }
}
