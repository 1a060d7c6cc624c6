//! The composition root: wires the modules, binds the ports, runs, drains.

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use countermark::{random::Random, verify::LogId};
use countermark_service::{
    connections::ConnectionMetrics,
    env::Env,
    exit::Failure,
    exposed::warn_of_exposed,
    gauges::{CertificateMetrics, DatabaseMetrics, ProcessMetrics},
    http::{self as boundary, Boundary},
    limits::Limits,
    listener::{self, Port},
    metrics::HttpMetrics,
    ops::{self as operations, Readiness},
    ports::PortLimits,
    settings::{SettingError, urls::is_in_the_clear},
    tls::TlsFiles,
};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tonic_health::server::{HealthReporter, HealthService};

use crate::{
    config::{Config, WatchScope},
    domain::diagnosis::Warning,
    domain::watcher::ProcessId,
    feed::watchers::Watchers,
    grpc,
    http::{HttpState, routes::routes},
    keys::{
        KeyMaterial,
        master_key::{MasterKey, MasterKeyError},
        ring::KeyRing,
        seal::Sealer,
    },
    metrics::LoopMetrics,
    ops::{
        AuthService, Context,
        admin::bootstrap::BootstrapError,
        keys::{proof_key, refresh_keys, signing},
    },
    store::{Store, StoreError, mark::MarkFile},
};

/// The service, its ports bound and its database open, not serving yet.
#[derive(Debug)]
pub struct App {
    auth: Arc<AuthService>,
    health: HealthReporter,
    http: Port,
    grpc: Port,
    ops: Port,
    http_routes: Router,
    grpc_routes: Router,
    limits: PortLimits,
    registry: Arc<Registry>,
    /// Ends the streams, at the stop.
    ending: CancellationToken,
}

impl App {
    /// Binds the ports, opens the database, reads or makes the keys, and applies the bootstrap file.
    pub async fn bind(config: Config, env: Env) -> Result<Self, Failure> {
        // Ports first: of two instances that were started by mistake the second must not touch the first one's data.
        let http = port("AUTH_HTTP_ADDR", config.http_addr, config.http_tls.clone(), &env)?;
        let grpc = port("AUTH_GRPC_ADDR", config.grpc_addr, config.grpc_tls.clone(), &env)?;
        let ops = Port::bind("AUTH_OPS_ADDR", config.ops_addr)?;

        let (ring, auth) = open(&config, &env).await?;
        if let Some(found) = auth.went_back() {
            return Err(unusable(&config, &found));
        }
        let files = config.bootstrap.files.iter().chain(&config.mark_file).map(PathBuf::as_path);
        warn_of_exposed(files.chain([config.database.as_path()]));
        auth.apply(config.bootstrap).await.map_err(|error| not_applied(&error))?;
        warn_of_doubtful(&auth);

        let mut registry = gauges(&auth, [&http, &grpc]);
        let state = HttpState::new(
            Arc::clone(&auth),
            ring,
            Arc::clone(&env.clock),
            config.policy.jwks_max_age,
            config.cookie_domain,
        )
        .with_cors_origins(&config.cors_origins);
        let limits = PortLimits::new(config.max_connections, 2, config.trusted_proxies.clone());
        let boundary = Boundary {
            proxies: config.trusted_proxies,
            cors_origins: config.cors_origins,
            oauth_path: Some(oauth_path(&auth, config.is_path_stripped)),
            completes: Some(Arc::new(state.clone())),
            ..Boundary::new(env.clock, env.random, HttpMetrics::register(&mut registry))
        };
        let connections = ConnectionMetrics::register(&mut registry);
        let health = HealthReporter::new();
        let ending = CancellationToken::new();
        let services = grpc::routes(
            Arc::clone(&auth),
            HealthService::from_health_reporter(health.clone()),
            config.grpc_reflection,
            ending.clone(),
        );
        Ok(Self {
            auth,
            health,
            http: http.measured(connections.of("http")),
            grpc: grpc.measured(connections.of("grpc")),
            ops: ops.measured(connections.of("ops")),
            http_routes: boundary::layers(routes(state, config.is_path_stripped), boundary),
            grpc_routes: services.map_err(Failure::start)?,
            limits,
            registry: Arc::new(registry),
            ending,
        })
    }

    /// Where the HTTP port is bound.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http.address
    }

    /// Where the gRPC port is bound.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc.address
    }

    /// Where the operations port is bound.
    #[must_use]
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops.address
    }

    /// Serves until `stop`; then readiness falls, requests in flight finish, and it returns within 10 s. Dropped halfway
    /// it lets go of everything at once.
    pub async fn run(self, stop: CancellationToken) {
        let Self { auth, health, http, grpc, ops, http_routes, grpc_routes, limits, registry, ending } = self;
        tracing::info!(http.address = %http.address, grpc.address = %grpc.address, ops.address = %ops.address, "listening");
        let readiness = Arc::new(Ready(Arc::clone(&auth)));
        let ops_routes = operations::router(readiness, registry, stop.clone());
        let keeper = Arc::clone(&auth);
        let drained = CancellationToken::new();
        let serving = async {
            tokio::join!(
                listener::serve(http, http_routes, limits.public.clone(), stop.clone()),
                listener::serve(grpc, grpc_routes, limits.public, stop.clone()),
                grpc::health::report(health, auth, stop.clone()),
                async {
                    stop.cancelled().await;
                    ending.cancel();
                },
            );
            drained.cancel();
        };
        // The operations port says "not ready" while the others drain, and its own share of the end is short.
        let ops_limits = Limits { drain: Duration::from_secs(1), ..limits.ops };
        let operating = listener::serve(ops, ops_routes, ops_limits, drained.clone());
        tokio::select! {
            _ = async { tokio::join!(serving, operating) } => {}
            () = keeper.keep_current() => {}
        }
        keeper.watch.release_watchers().await;
        if let Err(error) = keeper.record_refusals().await {
            tracing::warn!(%error, "the last refusals are not in the audit trail");
        }
        tracing::info!("stopped");
    }
}

fn port(
    setting: &'static str,
    address: SocketAddr,
    tls: Option<TlsFiles>,
    env: &Env,
) -> Result<Port, Failure> {
    Port::bind(setting, address)?.secured(tls, &env.clock).map_err(Failure::start)
}

fn not_applied(error: &BootstrapError) -> Failure {
    let name = "AUTH_BOOTSTRAP_FILE";
    match error {
        BootstrapError::NotRegistered(..) => SettingError::new(name, error.to_string()).into(),
        BootstrapError::Scope(_) | BootstrapError::Overloaded(_) | BootstrapError::Fault(_) => {
            Failure::start(format!("{name}: {error}"))
        }
    }
}

/// The metrics that are read when they are asked for.
fn gauges(auth: &Arc<AuthService>, [http, grpc]: [&Port; 2]) -> Registry {
    let mut registry = Registry::with_prefix("countermark");
    registry.register_collector(Box::new(LoopMetrics::new(Arc::clone(auth))));
    registry.register_collector(Box::new(ProcessMetrics));
    registry.register_collector(Box::new(DatabaseMetrics(auth.database().clone())));
    let certificates = CertificateMetrics::new([("http", http.tls()), ("grpc", grpc.tls())]);
    registry.register_collector(Box::new(certificates));
    registry
}

/// The path below which errors have OAuth's form, as requests have it.
fn oauth_path(auth: &AuthService, is_stripped: bool) -> String {
    format!("{}/oauth/", if is_stripped { "" } else { auth.issuer_path() })
}

/// Warns of settings that work, and are rarely meant.
fn warn_of_doubtful(auth: &AuthService) {
    for audience in auth.unregistered_audiences() {
        tracing::warn!(
            %audience,
            "AUTH_AUDIENCE names an audience that nobody has registered; register it with `auth-service audience add`"
        );
    }
    for (audience, scope) in auth.owners_of_built_in_scopes() {
        tracing::warn!("{}", Warning::BuiltInScope(audience, scope));
    }
    if auth.watch_scope() == WatchScope::Warn {
        for client in auth.clients_without_the_watch_scope() {
            tracing::warn!(
                client.id = %client,
                "the client has the scope introspect and not watch: AUTH_WATCH_SCOPE=require will not let it watch; if it does, write \
                 scopes = [\"introspect\", \"watch\"] in the bootstrap file, or run `auth-service client add-scope`"
            );
        }
    }
    if is_in_the_clear(auth.issuer().as_str()) {
        let issuer = auth.issuer().as_str();
        tracing::warn!(%issuer, "AUTH_ISSUER is an http URL of another host: passwords and tokens travel in the clear");
    }
}

/// Opens the database and returns the key ring and the operations. No port is bound. A database that is behind its mark is
/// refused.
pub async fn open(config: &Config, env: &Env) -> Result<(Arc<KeyRing>, Arc<AuthService>), Failure> {
    open_for(config, env, Purpose::Use).await
}

/// Why the database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve it. It is made when it is absent, with its keys.
    Use,
    /// For a command beside the service. It has to be there.
    Command,
    /// To recover it: it may be behind its mark.
    Recovery,
}

/// Opens the database for that purpose.
pub async fn open_for(
    config: &Config,
    env: &Env,
    purpose: Purpose,
) -> Result<(Arc<KeyRing>, Arc<AuthService>), Failure> {
    let random = &*env.random;
    let named = |error: &dyn fmt::Display| unusable(config, error);
    is_not_lost(config, purpose).map_err(|reason| named(&reason))?;
    let master = master_key(config, purpose, random)?;
    let sealer = Sealer::new(&master).map_err(Failure::start)?;
    let (path, mark) = (config.database.clone(), config.mark_file.clone());
    let store = match purpose {
        Purpose::Use | Purpose::Command => Store::open(path, mark),
        Purpose::Recovery => Store::open_to_recover(path, mark),
    };
    let store = store.map_err(|error| named(&error))?;
    if purpose != Purpose::Recovery
        && let Some(found) = store.compare_with_mark().map_err(|error| named(&error))?
    {
        return Err(named(&found));
    }
    let now = env.clock.now();
    let sealing = signing::sealing(&store, sealer, random).await.map_err(Failure::start)?;
    let ring = signing::signing_ring(&store, &sealing, random, now).await.map_err(Failure::start)?;
    let refresh = refresh_keys::read_or_make(&store, &sealing, random, now).await.map_err(Failure::start)?;
    let positions = proof_key::read_or_make(&store, &sealing, random).await.map_err(Failure::start)?;
    let material = KeyMaterial {
        ring: Arc::new(ring),
        refresh: ArcSwap::from_pointee(refresh),
        positions,
        sealing: ArcSwap::from_pointee(sealing),
        master_key_file: config.master_key_file.clone(),
    };
    let longest = config.policy.access_ttl.max(config.policy.refreshed_access_ttl);
    let log_id = LogId::new(random.bytes().map_err(Failure::start)?);
    store.open_log(log_id, longest).await.map_err(Failure::start)?;
    let process = ProcessId::from_bytes(random.bytes().map_err(Failure::start)?);
    let ring = Arc::clone(&material.ring);
    let context = Context::open(store, env.clone(), config.policy.clone()).map_err(Failure::start)?;
    Ok((ring, Arc::new(AuthService::new(context, material, Watchers::new(process)))))
}

/// The master key. It is made at the first start alone: another key than the one that was lost would open nothing.
fn master_key(config: &Config, purpose: Purpose, random: &dyn Random) -> Result<MasterKey, Failure> {
    let path = &config.master_key_file;
    let key = match MasterKey::read(path) {
        // Another process may have begun meanwhile, with a key that it made.
        Err(MasterKeyError::Absent) if holds_sealed_keys(config)? => match MasterKey::read(path) {
            Err(MasterKeyError::Absent) => Err(MasterKeyError::Lost),
            found => found,
        },
        Err(MasterKeyError::Absent) if purpose == Purpose::Use => MasterKey::read_or_make(path, random),
        found => found,
    };
    key.map_err(|error| Failure::start(format!("AUTH_MASTER_KEY_FILE: {}: {error}", path.display())))
}

fn holds_sealed_keys(config: &Config) -> Result<bool, Failure> {
    if !is_there(config) {
        return Ok(false);
    }
    let holds = || {
        let store = Store::open_to_recover(config.database.clone(), None)?;
        Ok::<_, StoreError>(store.sealing()?.is_some() || !store.signing_keys()?.is_empty())
    };
    holds().map_err(|error| unusable(config, &error))
}

/// Whether there is a database. An empty file is none. One that can't be looked at is there: opening it says why not.
fn is_there(config: &Config) -> bool {
    match config.database.as_path().metadata() {
        Ok(file) => file.len() > 0,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Refuses a database that is absent, when it has a mark, or when it is to be recovered. Otherwise an empty one would be
/// made in its place.
fn is_not_lost(config: &Config, purpose: Purpose) -> Result<(), &'static str> {
    if is_there(config) {
        return Ok(());
    }
    let mark = config.mark_file.clone().map(|path| MarkFile::new(path).read());
    // Another process may have begun meanwhile: it makes the database before the mark.
    if is_there(config) {
        return Ok(());
    }
    match (purpose, mark) {
        (Purpose::Recovery, _) => Err("it is not there; `auth-service restore` puts a backup in its place"),
        (Purpose::Use | Purpose::Command, Some(Ok(Some(_)))) => Err(
            "it is not there, and its mark (AUTH_MARK_FILE) is; put a backup in its place with `auth-service restore`, or \
             move the mark away to begin with an empty database",
        ),
        // What it says is not known, and an empty database could hide what is lost.
        (Purpose::Use, Some(Err(_))) => Err(
            "it is not there, and its mark (AUTH_MARK_FILE) can't be read; put a backup in its place with `auth-service \
             restore`, or move the mark away to begin with an empty database",
        ),
        (Purpose::Command, Some(Ok(None) | Err(_)) | None) => Err(
            "nothing is there, and only the service makes a database; give the settings of the service, for example with \
             --auth-database-url or --auth-config-file",
        ),
        (Purpose::Use, Some(Ok(None)) | None) => Ok(()),
    }
}

fn unusable(config: &Config, error: &dyn fmt::Display) -> Failure {
    Failure::start(format!("AUTH_DATABASE_URL: {}: {error}", config.database.as_path().display()))
}

#[derive(Debug)]
struct Ready(Arc<AuthService>);

impl Readiness for Ready {
    fn check(&self) -> Result<(), String> {
        self.0.health().map_err(|error| error.to_string())
    }
}
