//! The issuer in the simulation: the real `AuthService` with a real database, and the real gRPC services, over
//! simulated connections.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    pin::Pin,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use auth_service::{
    app::Purpose,
    domain::{client::ClientId, granting::GrantRequest, session::Device},
    grpc::{caller::Authenticate, introspection::Introspector, revocations::Revoker},
    ops::{
        AuthService,
        oauth::authenticate_client::{Credentials, OAuthClient},
        sessions::refresh::ShownBy,
        tokens::mint::{Delivery, IssuedTokens},
    },
};
use axum::middleware::Next;
use countermark::{clock::Clock as _, random::SeededRandom};
use countermark_proto::auth_v1::{
    WatchRequest, WatchResponse,
    introspection_server::IntrospectionServer,
    revocations_server::{Revocations, RevocationsServer},
    watch_response::Response as WatchEvent,
};
use countermark_service::{
    database::rusqlite::{Connection, params},
    env::Env,
    exit::Failure,
};
use futures_util::{Stream, StreamExt as _, future::ready};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tempfile::TempDir;
use tests::world::{AUDIENCE, ISSUER, RESOURCE, auth_config};
use tokio::{io::AsyncWriteExt as _, runtime::Runtime};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use turmoil::net::TcpListener;
use zeroize::Zeroizing;

use crate::{
    gate::Gate,
    queue::Queue,
    time::SimulatedClock,
    trace::{Event, Numbered, Trace},
};

/// Port of the gRPC services.
pub(crate) const PORT: u16 = 50_051;

/// Port that sends the key set to every connection.
pub(crate) const KEYS_PORT: u16 = 8_080;

/// Time for which a polling verifier may keep a key set.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(2);

/// A client whose tokens are sometimes all revoked at once.
const CALLER: (&str, &str) = ("caller", "caller-secret-caller-secret-caller-secret");

/// Accounts with the role `admin`.
const ACCOUNTS: [&str; 2] = ["one@example.com", "two@example.com"];
const PASSWORD: &str = "a plain pass phrase";

/// Number of rotations in a run that have a prepared key.
const STOCK: usize = 10;

/// Lifetime of the issuer's tokens.
pub(crate) const TTL: Duration = Duration::from_mins(2);

/// A prepared issuer to copy, with keys, accounts and clients, and sealed keys for rotations. Making them is slow, and
/// the time that it takes does not depend on the seed.
struct Made {
    folder: TempDir,
    stock: Vec<(String, Vec<u8>)>,
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let folder = place();
    fs::write(
        folder.path().join("bootstrap.toml"),
        format!(
            "[[audiences]]\nid = \"{AUDIENCE}\"\nscopes = [\"read\"]\n\n[[clients]]\nid = \"{}\"\nsecret = \"{}\"\n\
             grants = [\"client_credentials\"]\nscopes = [\"introspect\", \"watch\", \"read\"]\naudiences = [\"{AUDIENCE}\"]\n\n\
             [[clients]]\nid = \"{}\"\nsecret = \"{}\"\ngrants = [\"client_credentials\"]\nscopes = [\"read\"]\n\
             audiences = [\"{AUDIENCE}\"]\n\n{}",
            RESOURCE.0,
            RESOURCE.1,
            CALLER.0,
            CALLER.1,
            ACCOUNTS.map(|email| format!(
                "[[accounts]]\nemail = \"{email}\"\npassword = \"{PASSWORD}\"\nroles = [\"admin\"]\n\n"
            )).concat(),
        ),
    )
    .unwrap();
    let config = || auth_config(settings(folder.path(), true)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stock = runtime.block_on(async {
        let env = Env { clock: Arc::new(SimulatedClock::default()), random: Arc::new(SeededRandom::new(0)) };
        let (_, auth) = auth_service::app::open(&config(), &env).await.unwrap();
        auth.apply(config().bootstrap).await.unwrap();
        let mut stock = Vec::new();
        for _ in 0..=STOCK {
            let kid = auth.keys.start_rotation().await.unwrap().key.kid.to_string();
            let database = Connection::open(folder.path().join("auth.db")).unwrap();
            let taken = "DELETE FROM signing_keys WHERE kid = ?1 RETURNING sealed";
            stock.push((kid.clone(), database.query_row(taken, [kid], |row| row.get(0)).unwrap()));
        }
        stock
    });
    // Only the file is copied, so the log beside it must be empty. The service closes its database a moment later.
    let database = Connection::open(folder.path().join("auth.db")).unwrap();
    let checkpoint = || database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    while checkpoint().unwrap() != 0 {
        std::thread::yield_now();
    }
    Made { folder, stock }
});

/// A folder in memory if possible, because syncing to a disk would only slow the simulation.
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
        ("AUTH_JWKS_MAX_AGE".to_owned(), format!("{}s", MAX_AGE.as_secs())),
        ("AUTH_LOGIN_LIMITS".to_owned(), "off".to_owned()),
        ("AUTH_TOKEN_LIMITS".to_owned(), "off".to_owned()),
    ]);
    if with_bootstrap {
        settings.insert("AUTH_BOOTSTRAP_FILE".to_owned(), path("bootstrap.toml"));
    }
    settings
}

async fn open(folder: &Path, clock: &SimulatedClock, seed: u64) -> Result<Arc<AuthService>, Failure> {
    let mut config = auth_config(settings(folder, false)).unwrap();
    config.database = config.database.written_in_place();
    let env = Env { clock: Arc::new(clock.clone()), random: Arc::new(SeededRandom::new(seed)) };
    auth_service::app::open(&config, &env).await.map(|(_, auth)| auth)
}

/// The database that the issuers share, and an `AuthService` that mints.
pub(crate) struct Mint {
    folder: TempDir,
    auth: Arc<AuthService>,
    clients: [OAuthClient; 2],
    /// For each account, the live refresh token of its present session, if it has one.
    sessions: [Option<String>; 2],
    /// All refresh tokens so far.
    refresh_tokens: Vec<String>,
    database: Connection,
    /// Number of the copy's write transactions.
    copied: i64,
    /// Number of prepared keys that are used up.
    used: usize,
    clock: SimulatedClock,
    runtime: Runtime,
}

/// The owner of a token. All tokens of an owner may be revoked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The verifiers' own client. Its tokens are never revoked all at once.
    Resource,
    Caller,
    Account(usize),
}

impl Mint {
    pub(crate) fn new(clock: &SimulatedClock, seed: u64) -> Self {
        let folder = place();
        for name in ["auth.db", "master.key"] {
            fs::copy(MADE.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let auth = runtime.block_on(open(folder.path(), clock, seed)).unwrap();
        let clients = [RESOURCE, CALLER].map(|(id, secret)| {
            let shown = Credentials::Secret { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) };
            runtime.block_on(auth.clients.authenticate_client(&shown)).unwrap()
        });
        let database = Connection::open(folder.path().join("auth.db")).unwrap();
        let (sessions, refresh_tokens, clock) = ([None, None], Vec::new(), clock.clone());
        let mut mint = Self {
            folder,
            auth,
            clients,
            sessions,
            refresh_tokens,
            database,
            copied: 0,
            used: 0,
            clock,
            runtime,
        };
        mint.publish_next();
        mint
    }

    /// Inserts a prepared key where an issuer would make a new one.
    pub(crate) fn publish_next(&mut self) {
        let missing = "SELECT NOT EXISTS (SELECT 1 FROM signing_keys WHERE active_at IS NULL)";
        if !self.has_keys() || !self.database.query_row(missing, [], |row| row.get::<_, bool>(0)).unwrap() {
            return;
        }
        let (kid, sealed) = &MADE.stock[self.used];
        let add = "INSERT INTO signing_keys (kid, sealed, created_at) VALUES (?1, ?2, ?3)";
        self.database.execute(add, params![kid, sealed, self.clock.now().unix_millis()]).unwrap();
        self.used += 1;
    }

    /// Whether a key for another rotation is left.
    pub(crate) fn has_keys(&self) -> bool {
        self.used < MADE.stock.len()
    }

    /// Mints a token by a process that has read the database. `None` when the owner cannot get one now.
    pub(crate) fn token(&mut self, owner: Owner) -> Option<String> {
        self.auth.keys.catch_up_with_signing_keys().unwrap();
        self.auth.watch.revoked_so_far().unwrap();
        let asked = GrantRequest::default();
        let of_client = |client| self.runtime.block_on(self.auth.clients.issue_service_token(client, &asked));
        match owner {
            Owner::Resource => of_client(&self.clients[0]).ok().map(|issued| issued.access_token),
            Owner::Caller => of_client(&self.clients[1]).ok().map(|issued| issued.access_token),
            Owner::Account(at) => {
                let tokens = self.runtime.block_on(self.tokens_of(at))?;
                self.refresh_tokens.push(tokens.refresh_token.clone());
                self.sessions[at] = Some(tokens.refresh_token);
                Some(tokens.access_token)
            }
        }
    }

    async fn tokens_of(&self, at: usize) -> Option<IssuedTokens> {
        if let Some(token) = &self.sessions[at] {
            let (client, device) = (ClientId::first_party(), Device::default());
            if let Ok(tokens) = self.auth.sessions.refresh(token, &client, ShownBy::Program, device).await {
                return Some(tokens);
            }
        }
        let password = PASSWORD.to_owned().into();
        self.auth.sessions.login(ACCOUNTS[at], password, Delivery::Body, Device::default()).await.ok()
    }

    /// Copies the database, as a backup does.
    pub(crate) fn copy(&mut self) {
        let to = self.folder.path().join("copy.db");
        drop(fs::remove_file(&to));
        self.database.execute("VACUUM INTO ?1", [to.to_string_lossy()]).unwrap();
        drop(fs::copy(self.folder.path().join("auth.db.mark"), self.folder.path().join("copy.mark")));
        self.copied = self.writes();
    }

    /// Whether the copy lacks something. One that lacks nothing is no step back.
    pub(crate) fn is_past_the_copy(&self) -> bool {
        self.writes() > self.copied
    }

    /// The last number of the log.
    pub(crate) fn head(&self) -> u64 {
        let head = |row: &countermark_service::database::rusqlite::Row<'_>| row.get::<_, i64>(0);
        let head = self.database.query_row("SELECT head FROM revocation_log", [], head).unwrap();
        head.try_into().unwrap()
    }

    fn writes(&self) -> i64 {
        self.database.query_row("SELECT writes FROM revocation_log", [], |row| row.get(0)).unwrap()
    }

    /// Puts the copy of the database and of its mark back, as a snapshot of their volume does, and works with them.
    pub(crate) fn put_back_with_mark(&mut self, seed: u64) {
        self.put_back();
        let at = |name: &str| self.folder.path().join(name);
        if fs::rename(at("copy.mark"), at("auth.db.mark")).is_err() {
            fs::remove_file(at("auth.db.mark")).unwrap();
        }
        self.reopen(seed);
    }

    fn reopen(&mut self, seed: u64) {
        self.auth = self.runtime.block_on(open(self.folder.path(), &self.clock, seed)).unwrap();
        self.database = Connection::open(self.folder.path().join("auth.db")).unwrap();
    }

    /// Whether something has shown that the database lost writes.
    pub(crate) fn has_evidence(&self) -> bool {
        self.auth.watch.revoked_so_far().is_err() || self.auth.went_back().is_some()
    }

    /// Puts the copy in the place of the database.
    pub(crate) fn put_back(&self) {
        let at = |name: &str| self.folder.path().join(name);
        fs::rename(at("copy.db"), at("auth.db")).unwrap();
        for left in ["auth.db-wal", "auth.db-shm"] {
            drop(fs::remove_file(at(left)));
        }
    }

    /// Recovers the database that was put back, and works with it. No refresh token lives again. `is_marked`: nothing starts
    /// without the recovery.
    pub(crate) fn recover(&mut self, seed: u64, is_marked: bool) {
        let mut config = auth_config(settings(self.folder.path(), false)).unwrap();
        config.database = config.database.written_in_place();
        let clock = Arc::new(self.clock.clone());
        let env = |seed| Env { clock: clock.clone(), random: Arc::new(SeededRandom::new(seed)) };
        self.runtime.block_on(async {
            let opened = auth_service::app::open(&config, &env(seed)).await;
            assert!(!is_marked || opened.is_err(), "a database behind its mark is not served");
            let opened = auth_service::app::open_for(&config, &env(seed + 1), Purpose::Recovery).await;
            opened.unwrap().1.recover().await.unwrap();
        });
        self.reopen(seed + 2);
        self.sessions = [None, None];
        for token in std::mem::take(&mut self.refresh_tokens) {
            let (client, device) = (ClientId::first_party(), Device::default());
            let refresh = self.auth.sessions.refresh(&token, &client, ShownBy::Program, device);
            assert!(
                self.runtime.block_on(refresh).is_err(),
                "a refresh token from before the recovery lives"
            );
        }
    }

    /// The accounts' clients lose their refresh tokens. Each next token belongs to a new session.
    pub(crate) fn forget_sessions(&mut self) {
        self.sessions = [None, None];
    }

    /// Takes the session of an account, to end it. The account's next token belongs to a new session.
    pub(crate) fn take_session(&mut self, at: usize) -> Option<String> {
        self.sessions[at].take()
    }
}

/// An operation that an issuer carries out.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Revokes this token.
    Token(String),
    /// Ends the session of this refresh token.
    Session(String),
    /// Removes a role and grants it again.
    Account(usize),
    /// Disables the client and enables it again.
    Client,
    /// Makes the next key sign.
    Rotate,
    /// Revokes this key.
    Key(String),
}

/// An operation with its number. `wait` asks for the barrier.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) number: usize,
    pub(crate) what: What,
    pub(crate) wait: bool,
}

/// The outcome of an order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    Revoked { order: usize, at: Duration },
    Confirmed { order: usize, at: Duration, is_complete: bool },
}

/// One process of the issuer, running or not. Clones share it.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) clock: SimulatedClock,
    pub(crate) gate: Gate,
    orders: Queue<Order>,
    done: Arc<Mutex<Vec<Done>>>,
    trace: Trace,
    folder: std::path::PathBuf,
    seeds: Arc<AtomicU64>,
    /// One in so many deltas is lost. 0 loses none.
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
        trace: Trace,
    ) -> Self {
        let seeds = Arc::new(AtomicU64::new(seed));
        let folder = mint.folder.path().to_owned();
        let (gate, orders) = (Gate::default(), Queue::default());
        Self { name, clock, gate, orders, done, trace, folder, seeds, loses }
    }

    pub(crate) fn order(&self, order: Order) {
        self.orders.push(order);
    }

    /// Runs the process until it crashes.
    pub(crate) async fn run(self) -> turmoil::Result {
        let seed = self.seeds.fetch_add(1, SeqCst);
        let auth = match open(&self.folder, &self.clock, seed).await {
            Ok(auth) => auth,
            // An older copy took the database's place while this process was starting. It does not serve it.
            Err(Failure::Start(reason)) if reason.contains("has lost writes") => std::future::pending().await,
            Err(other) => panic!("an issuer does not start: {other:?}"),
        };
        let watch = Lossy {
            inner: Revoker::new(Arc::clone(&auth), CancellationToken::new()),
            one_in: Arc::clone(&self.loses),
            clock: self.clock.clone(),
            trace: self.trace.clone(),
        };
        let authenticate = Authenticate(Arc::clone(&auth));
        let introspector = Introspector::new(Arc::clone(&auth));
        let router = Routes::new(IntrospectionServer::with_interceptor(introspector, authenticate.clone()))
            .add_service(RevocationsServer::with_interceptor(watch, authenticate))
            .prepare()
            .into_axum_router()
            .layer(axum::middleware::from_fn(self.listener()));
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let keys = TcpListener::bind(("0.0.0.0", KEYS_PORT)).await?;
        tokio::join!(
            self.serve(listener, router),
            self.serve_keys(keys, &auth),
            self.obey(&auth),
            auth.keep_current()
        );
        Ok(())
    }

    /// Records what is said over the streams of revocations.
    fn listener(
        &self,
    ) -> impl Fn(
        axum::extract::Request,
        Next,
    ) -> Pin<Box<dyn Future<Output = axum::response::Response> + Send>>
    + Clone
    + Send
    + 'static {
        let (clock, trace) = (self.clock.clone(), self.trace.clone());
        move |request, next| {
            if !request.uri().path().ends_with("/Watch") {
                return Box::pin(next.run(request));
            }
            let (clock, trace) = (clock.clone(), trace.clone());
            let request = trace.requests(&clock, request);
            Box::pin(async move {
                let stream = request.extensions().get::<Numbered>().expect("it was numbered").0;
                trace.responses(&clock, stream, next.run(request).await)
            })
        }
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

    /// Sends the key set to every connection, then closes it.
    async fn serve_keys(&self, listener: TcpListener, auth: &Arc<AuthService>) {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let keys = auth.keys.published();
            tokio::spawn(self.gate.hold(async move {
                let _ = stream.write_all(&keys.json).await;
                let _ = stream.shutdown().await;
            }));
        }
    }

    /// Carries out orders, as requests and the command line would.
    async fn obey(&self, auth: &Arc<AuthService>) {
        loop {
            let Order { number: order, what, wait } = self.orders.next().await;
            let (auth, clock, done) = (Arc::clone(auth), self.clock.clone(), Arc::clone(&self.done));
            let trace = self.trace.clone();
            tokio::spawn(self.gate.hold(async move {
                if carry_out(&auth, what).await.is_err() {
                    return;
                }
                done.lock().unwrap().push(Done::Revoked { order, at: clock.monotonic() });
                trace.record(&clock, Event::Answered { number: auth.watch.log_head().number() });
                if !wait {
                    return;
                }
                let Ok(revoked) = auth.watch.revoked_so_far() else { return };
                let number = auth.watch.log_head().number();
                let Ok(confirmation) = auth.watch.confirm(revoked).await else { return };
                let (at, is_complete) = (clock.monotonic(), confirmation.is_complete());
                if is_complete {
                    trace.record(&clock, Event::Complete { number });
                }
                done.lock().unwrap().push(Done::Confirmed { order, at, is_complete });
            }));
        }
    }
}

async fn carry_out(auth: &AuthService, what: What) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match what {
        What::Token(text) => {
            let claims = tests::jws::payload(&text);
            let client =
                claims["client_id"].as_str().unwrap().parse().unwrap_or_else(|_| ClientId::first_party());
            auth.revoke_token(&client, &text, &Device::default()).await?;
        }
        What::Session(token) => {
            auth.sessions.logout_with_refresh_token(&token, &Device::default()).await?;
        }
        What::Account(at) => {
            let account = || auth.account_named(ACCOUNTS[at]).map(|account| account.expect("the account"));
            let admin = || vec!["admin".parse().unwrap()];
            // The copy may be from between the last two: then there is nothing to take away.
            auth.set_roles(account()?.id, admin()).await?;
            auth.set_roles(account()?.id, Vec::new()).await?;
            auth.set_roles(account()?.id, admin()).await?;
        }
        What::Client => {
            let client = auth.client(CALLER.0).expect("the client");
            auth.disable_client(&client).await?;
            auth.enable_client(&client).await?;
        }
        What::Rotate => drop(auth.keys.start_rotation().await?),
        What::Key(kid) => drop(auth.keys.revoke_signing_key(&kid.parse().unwrap()).await?),
    }
    Ok(())
}

/// The real service behind a fault that loses deltas.
struct Lossy {
    inner: Revoker,
    one_in: Arc<AtomicUsize>,
    clock: SimulatedClock,
    trace: Trace,
}

#[tonic::async_trait]
impl Revocations for Lossy {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stream = request.extensions().get::<Numbered>().expect("it was numbered").0;
        let (clock, trace) = (self.clock.clone(), self.trace.clone());
        let answers = self.inner.watch(request).await?.into_inner();
        let (one_in, mut deltas) = (Arc::clone(&self.one_in), 0);
        Ok(Response::new(Box::pin(answers.filter(move |answer| {
            let is_delta =
                answer.as_ref().is_ok_and(|answer| matches!(answer.response, Some(WatchEvent::Delta(_))));
            deltas += usize::from(is_delta);
            let one_in = one_in.load(SeqCst);
            let is_lost = is_delta && one_in > 0 && deltas % one_in == 0;
            if is_lost {
                trace.record(&clock, Event::Lost { stream });
            }
            ready(!is_lost)
        }))))
    }
}
