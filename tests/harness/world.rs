//! Both services inside the test's runtime, on ports that the system picks, with one clock that the test moves.
//!
//! A world makes an RSA key and hashes two passwords. A scenario should use one world.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use auth_service::ops::AuthService;
use countermark::{
    clock::{ManualClock, Timestamp},
    random::SeededRandom,
};
use countermark_proto::auth_v1::IntrospectResponse;
use countermark_service::{
    env::Env,
    exit::Failure,
    settings::{SettingError, Settings},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{Answer, Forge, Http, PATIENCE, grpc::Grpc, until};

/// Start time of every scenario, in seconds since 1970: 2027-01-15T08:00:00Z.
pub const BEGINNING: i64 = 1_800_000_000;

/// URL of the issuer. It does not depend on the port.
pub const ISSUER: &str = "http://auth.test";

/// Realm of the resource server's challenges.
pub const AUDIENCE: &str = "resource-service";

/// An account with the role `admin`.
pub const ADMIN: (&str, &str) = ("test@example.com", "password");

/// An account without roles.
pub const PLAIN: (&str, &str) = ("plain@example.com", "a plain pass phrase");

/// A client that may introspect the tokens for [`AUDIENCE`].
pub const BILLING: (&str, &str) = ("billing", "billing-secret-billing-secret-0123456789");

/// A client that may introspect the tokens for another audience.
pub const STRANGER: (&str, &str) = ("stranger", "stranger-secret-stranger-secret-01234567");

/// The client of the resource server, which calls other services on behalf of its users.
pub const RESOURCE: (&str, &str) = ("resource-service", "resource-secret-resource-secret-01234567");

/// A client that may not introspect.
pub const MUTE: (&str, &str) = ("mute", "mute-secret-mute-secret-mute-secret-0123");

/// The bootstrap file of a world, unless the test writes another.
pub fn bootstrap() -> String {
    let client = |(id, secret): (&str, &str), scopes: &str, audience: &str| {
        format!(
            "[[clients]]\nid = \"{id}\"\nsecret = \"{secret}\"\ngrants = [\"client_credentials\"]\n\
             scopes = [{scopes}]\naudiences = [\"{audience}\"]\n\n"
        )
    };
    let account = |(email, password): (&str, &str), roles: &str| {
        format!("[[accounts]]\nemail = \"{email}\"\npassword = \"{password}\"\nroles = [{roles}]\n\n")
    };
    [
        "[[audiences]]\nid = \"resource-service\"\nscopes = [\"documents:read\", \"documents:write\"]\n\
         default_scopes = [\"documents:read\", \"documents:write\"]\n\n"
            .to_owned(),
        "[[audiences]]\nid = \"archive\"\nscopes = [\"archive:read\", \"archive:purge\"]\n\
         default_scopes = [\"archive:read\"]\n\n"
            .to_owned(),
        "[[audiences]]\nid = \"bare\"\n\n".to_owned(),
        client(BILLING, "\"introspect\", \"documents:read\"", AUDIENCE),
        client(STRANGER, "\"introspect\"", "archive"),
        client(MUTE, "\"documents:read\"", AUDIENCE),
        format!(
            "[[clients]]\nid = \"{}\"\nsecret = \"{}\"\n\
             grants = [\"client_credentials\", \"urn:ietf:params:oauth:grant-type:token-exchange\"]\n\
             scopes = [\"introspect\", \"watch\", \"documents:read\", \"archive:read\"]\naudiences = [\"resource-service\", \"archive\", \"bare\"]\n\
             roles = [\"service\"]\n\n",
            RESOURCE.0, RESOURCE.1
        ),
        account(ADMIN, "\"admin\""),
        account(PLAIN, ""),
    ]
    .concat()
}

/// The answer to a login.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    pub answer: Value,
}

impl Tokens {
    /// The tokens of a successful answer.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let answer = answer.is(200);
        let token = |name: &str| answer[name].as_str().expect("a token").to_owned();
        Self { access: token("access_token"), refresh: token("refresh_token"), answer }
    }

    /// The claims of the access token, unverified.
    pub fn claims(&self) -> Value {
        crate::jws::payload(&self.access)
    }
}

/// A service that runs in a task.
#[derive(Debug)]
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(run: impl Future<Output = ()> + Send + 'static, stop: CancellationToken) -> Self {
        Self { stop, task: tokio::spawn(run) }
    }

    /// Aborts the task. Nothing is drained and no peer is notified.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()), "it was still running");
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("a stop in time").expect("a clean stop");
    }

    /// Stops services where nothing can be awaited. It never panics, because a panic would hide the test's own.
    pub(crate) fn stop_all(all: impl IntoIterator<Item = Self>) {
        for service in all {
            service.stop.cancel();
            tokio::task::block_in_place(|| {
                let stopped = tokio::time::timeout(PATIENCE, service.task);
                drop(Handle::current().block_on(stopped));
            });
        }
    }
}

/// Both services and their shared data.
#[derive(Debug)]
pub struct World {
    pub clock: ManualClock,
    pub auth_grpc: SocketAddr,
    auth_http: Http,
    auth_ops: Http,
    resource_http: Http,
    resource_ops: Http,
    auth: Option<Running>,
    resource: Option<Running>,
    settings: BTreeMap<String, String>,
    /// Names of settings that are left out at the next start.
    unset: BTreeSet<String>,
    auth_env: Env,
    resource_env: Env,
    folder: TempDir,
}

impl World {
    /// Starts both services with their defaults.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Starts both services with some settings.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::stopped(settings);
        world.start().await;
        world
    }

    /// Starts auth-service only.
    pub async fn of_auth_alone(settings: &[(&str, &str)]) -> Self {
        let mut world = Self::stopped(settings);
        world.start_auth().await.expect("auth-service starts");
        world
    }

    fn stopped(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed();
        fs::write(folder.path().join("bootstrap.toml"), bootstrap()).unwrap();
        let clock = ManualClock::at(Timestamp::from_unix_seconds(BEGINNING));
        let shared_clock = Arc::new(clock.clone());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        Self {
            auth_grpc: nowhere,
            auth_http: Http::at(nowhere),
            auth_ops: Http::at(nowhere),
            resource_http: Http::at(nowhere),
            resource_ops: Http::at(nowhere),
            auth: None,
            resource: None,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            unset: BTreeSet::new(),
            auth_env: Env {
                clock: Arc::<ManualClock>::clone(&shared_clock),
                random: Arc::new(SeededRandom::new(seed)),
            },
            resource_env: Env {
                clock: shared_clock,
                random: Arc::new(SeededRandom::new(seed.wrapping_add(1))),
            },
            clock,
            folder,
        }
    }

    /// Stops and starts both services. The ports change; the data and the clock stay.
    pub async fn restart(&mut self) {
        self.halt().await;
        self.start().await;
    }

    /// Restarts both services with some settings changed.
    pub async fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.halt().await;
        self.settings.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.start().await;
    }

    /// Stops both services and waits until they have stopped.
    pub async fn stop(mut self) {
        self.halt().await;
    }

    /// Stops both services. [`restart`](Self::restart) starts them again.
    pub async fn halt(&mut self) {
        self.stop_resource().await;
        self.stop_auth().await;
    }

    /// Stops auth-service only.
    pub async fn stop_auth(&mut self) {
        if let Some(auth) = self.auth.take() {
            auth.stop().await;
            self.closes("auth.db").await;
        }
    }

    /// Aborts auth-service as `kill -9` would: nothing is drained or flushed.
    pub async fn crash_auth(&mut self) {
        if let Some(auth) = self.auth.take() {
            auth.crash().await;
        }
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Undoes [`set`](Self::set): the world's own value applies again.
    pub fn reset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Leaves a setting out at the next start.
    pub fn unset(&mut self, name: &str) {
        self.unset.insert(name.to_owned());
    }

    /// Stops resource-service only.
    pub async fn stop_resource(&mut self) {
        if let Some(resource) = self.resource.take() {
            resource.stop().await;
            self.closes("resource.db").await;
        }
    }

    /// Waits until the last handle of a database is closed: a task of the runtime may drop one late, where a process would be
    /// over. A handle of the test's own stays open.
    async fn closes(&self, database: &str) {
        let log = self.path(&format!("{database}-wal"));
        let is_closed = async {
            while log.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        drop(tokio::time::timeout(Duration::from_secs(1), is_closed).await);
    }

    /// Aborts resource-service as `kill -9` would.
    pub async fn crash_resource(&mut self) {
        if let Some(resource) = self.resource.take() {
            resource.crash().await;
        }
    }

    async fn start(&mut self) {
        self.start_auth().await.expect("auth-service starts");
        self.start_resource().expect("resource-service starts");
        let ready = self.resource_ops.clone();
        until("resource-service is ready", || async {
            (ready.get("/health/ready").await.status == 200).then_some(())
        })
        .await;
    }

    /// Starts auth-service. Returns the error when it does not start.
    pub async fn start_auth(&mut self) -> Result<(), Failure> {
        let config = auth_config(self.auth_settings())?;
        let app = auth_service::app::App::bind(config, self.auth_env.clone()).await?;
        self.auth_grpc = app.grpc_addr();
        self.auth_http = Http::at(app.http_addr());
        self.auth_ops = Http::at(app.ops_addr());
        let stop = CancellationToken::new();
        self.auth = Some(Running::start(app.run(stop.clone()), stop));
        Ok(())
    }

    /// Removes the mark, for a test that puts another database in the place of this one.
    pub fn forget_mark(&self) {
        fs::remove_file(self.path("auth.db.mark")).expect("a mark");
    }

    /// Starts auth-service on its former ports, for clients that still use them.
    pub async fn start_auth_where_it_was(&mut self) {
        for (setting, address) in
            [("AUTH_HTTP_ADDR", self.auth_http.address), ("AUTH_GRPC_ADDR", self.auth_grpc)]
        {
            self.settings.insert(setting.to_owned(), address.to_string());
        }
        self.start_auth().await.expect("auth-service starts");
    }

    /// Starts resource-service. Returns the error when it does not start.
    pub fn start_resource(&mut self) -> Result<(), Failure> {
        let config = resource_config(self.resource_settings())?;
        let app = resource_service::app::App::bind(config, self.resource_env.clone())?;
        self.resource_http = Http::at(app.http_addr());
        self.resource_ops = Http::at(app.ops_addr());
        let stop = CancellationToken::new();
        self.resource = Some(Running::start(app.run(stop.clone()), stop));
        Ok(())
    }

    /// Settings of auth-service. With them a test can start a second process on the same data.
    pub fn auth_settings(&self) -> BTreeMap<String, String> {
        self.settings_of(
            "AUTH_",
            [
                ("AUTH_HTTP_ADDR", "127.0.0.1:0".to_owned()),
                ("AUTH_GRPC_ADDR", "127.0.0.1:0".to_owned()),
                ("AUTH_OPS_ADDR", "127.0.0.1:0".to_owned()),
                ("AUTH_ISSUER", ISSUER.to_owned()),
                ("AUTH_DATABASE_URL", format!("sqlite://{}", self.path("auth.db").display())),
                ("AUTH_MASTER_KEY_FILE", self.path("master.key").display().to_string()),
                ("AUTH_BOOTSTRAP_FILE", self.path("bootstrap.toml").display().to_string()),
                // The limits have tests of their own.
                ("AUTH_LOGIN_LIMITS", "off".to_owned()),
                ("AUTH_TOKEN_LIMITS", "off".to_owned()),
                ("AUTH_HASH_QUEUE", "1000".to_owned()),
            ],
        )
    }

    /// The operations of another process, such as the operator's command line: same data, same clock.
    pub async fn operator(&self) -> Arc<AuthService> {
        let config = auth_config(self.auth_settings()).unwrap();
        let random = Arc::new(SeededRandom::new(seed()));
        let env = Env { random, ..self.auth_env.clone() };
        auth_service::app::open(&config, &env).await.expect("the same data").1
    }

    /// The path below which auth-service has its routes.
    fn path_of_routes(&self) -> &str {
        let is_stripped = self.settings.get("AUTH_PATH_PREFIX").is_some_and(|prefix| prefix == "stripped");
        let issuer = self.settings.get("AUTH_ISSUER").filter(|_| !is_stripped);
        issuer.map_or("", |issuer| auth_service::config::issuer_path(issuer))
    }

    /// Settings of resource-service.
    pub fn resource_settings(&self) -> BTreeMap<String, String> {
        let scheme = if self.settings.contains_key("AUTH_TLS_CERT_FILE") { "https" } else { "http" };
        self.settings_of(
            "RESOURCE_",
            [
                ("RESOURCE_HTTP_ADDR", "127.0.0.1:0".to_owned()),
                ("RESOURCE_OPS_ADDR", "127.0.0.1:0".to_owned()),
                ("RESOURCE_ISSUER", ISSUER.to_owned()),
                (
                    "RESOURCE_AUTH_URL",
                    format!("{scheme}://{}{}", self.auth_http.address, self.path_of_routes()),
                ),
                ("RESOURCE_DATABASE_URL", format!("sqlite://{}", self.path("resource.db").display())),
                ("RESOURCE_AUTH_GRPC", format!("{scheme}://{}", self.auth_grpc)),
                ("RESOURCE_CLIENT_ID", RESOURCE.0.to_owned()),
                ("RESOURCE_CLIENT_SECRET", RESOURCE.1.to_owned()),
                ("RESOURCE_BUNDLE_FILE", self.path("verifier.bundle").display().to_string()),
            ],
        )
    }

    fn settings_of<const N: usize>(
        &self,
        prefix: &str,
        own: [(&str, String); N],
    ) -> BTreeMap<String, String> {
        let mut settings: BTreeMap<_, _> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let tests = self.settings.iter().filter(|(name, _)| name.starts_with(prefix));
        settings.extend(tests.map(|(name, value)| (name.clone(), value.clone())));
        settings.retain(|name, _| !self.unset.contains(name));
        settings
    }

    /// The HTTP port of auth-service.
    pub fn auth(&self) -> &Http {
        &self.auth_http
    }

    /// The HTTP port of resource-service.
    pub fn resource(&self) -> &Http {
        &self.resource_http
    }

    /// The operations port of auth-service.
    pub fn auth_ops(&self) -> &Http {
        &self.auth_ops
    }

    /// The operations port of resource-service.
    pub fn resource_ops(&self) -> &Http {
        &self.resource_ops
    }

    /// The gRPC port of auth-service, without credentials.
    pub fn grpc(&self) -> Grpc {
        Grpc::at(self.auth_grpc)
    }

    /// Tries to log in.
    pub async fn try_login(&self, (email, password): (&str, &str)) -> Answer {
        self.auth().post("/login").json(&json!({"email": email, "password": password})).await
    }

    /// Logs in.
    pub async fn login_as(&self, account: (&str, &str)) -> Tokens {
        Tokens::of(&self.try_login(account).await)
    }

    /// Logs in as the account with the role `admin`.
    pub async fn login(&self) -> Tokens {
        self.login_as(ADMIN).await
    }

    /// Sends a refresh token as Bearer.
    pub async fn try_refresh(&self, token: &str) -> Answer {
        self.auth().post("/refresh").bearer(token).await
    }

    /// Refreshes.
    pub async fn refresh(&self, token: &str) -> Tokens {
        Tokens::of(&self.try_refresh(token).await)
    }

    /// Sends a token to the protected route.
    pub async fn protected(&self, token: impl AsRef<[u8]>) -> Answer {
        self.resource().get("/protected-route").bearer(token).await
    }

    /// Introspects a token as the client `billing`.
    pub async fn introspect(&self, token: impl Into<String>) -> IntrospectResponse {
        self.grpc().basic(BILLING.0, BILLING.1).introspect(token).await.expect("an answer")
    }

    /// Moves the clock forward.
    pub fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// A forger with the stolen signing key.
    pub fn forge(&self) -> Forge {
        Forge::new(&self.path("auth.db"), &self.path("master.key"))
    }

    /// Path of a file of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Folder of this world's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for World {
    /// Stops the services that still run and waits for their end. No test leaves anything behind.
    fn drop(&mut self) {
        Running::stop_all([self.resource.take(), self.auth.take()].into_iter().flatten());
    }
}

/// A different seed for each world of a test, but the same seeds in each run of that test.
pub(crate) fn seed() -> u64 {
    thread_local!(static WORLDS: Cell<u64> = const { Cell::new(0) });
    let mut hasher = DefaultHasher::new();
    thread::current().name().hash(&mut hasher);
    WORLDS.set(WORLDS.get() + 2);
    hasher.finish().wrapping_add(WORLDS.get())
}

/// The configuration of auth-service.
pub fn auth_config(settings: BTreeMap<String, String>) -> Result<auth_service::config::Config, SettingError> {
    auth_service::config::Config::parse(&Settings::from_pairs(auth_service::config::SETTINGS, settings)?)
}

/// The configuration of resource-service.
pub fn resource_config(
    settings: BTreeMap<String, String>,
) -> Result<resource_service::config::Config, SettingError> {
    resource_service::config::Config::parse(&Settings::from_pairs(
        resource_service::config::SETTINGS,
        settings,
    )?)
}
