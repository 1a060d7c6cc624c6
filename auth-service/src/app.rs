//! The composition root: wires the modules, binds the ports, runs, drains.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use countermark::verify::LogId;
use countermark_service::{
    env::Env,
    exit::Failure,
    http::{self as boundary, Boundary},
    limits::Limits,
    listener::{self, Port},
    metrics::HttpMetrics,
    ops::{self as operations, Readiness},
    tls::TlsFiles,
};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tonic_health::server::{HealthReporter, HealthService};

use crate::{
    config::Config,
    domain::watcher::ProcessId,
    feed::watchers::Watchers,
    grpc,
    http::{HttpState, routes::routes},
    keys::{KeyMaterial, master_key::MasterKey, ring::KeyRing, seal::Sealer},
    metrics::LoopMetrics,
    ops::{
        AuthService, Context,
        keys::{refresh_keys, signing},
    },
    store::Store,
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
    registry: Arc<Registry>,
    /// Ends the streams, at the stop.
    ending: CancellationToken,
}

impl App {
    /// Binds the ports, opens the database, reads or makes the keys, and applies the bootstrap file.
    ///
    /// # Errors
    /// [`Failure`] says what could not be opened.
    pub async fn bind(config: Config, env: Env) -> Result<Self, Failure> {
        // Ports first: of two instances that were started by mistake the second must not touch the first one's data.
        let http = port("AUTH_HTTP_ADDR", config.http_addr, config.http_tls.clone(), &env)?;
        let grpc = port("AUTH_GRPC_ADDR", config.grpc_addr, config.grpc_tls.clone(), &env)?;
        let ops = Port::bind("AUTH_OPS_ADDR", config.ops_addr)?;

        let (ring, auth) = open(&config, &env).await?;
        auth.apply(config.bootstrap)
            .await
            .map_err(|error| Failure::start(format!("AUTH_BOOTSTRAP_FILE: {error}")))?;

        let mut registry = Registry::with_prefix("countermark");
        registry.register_collector(Box::new(LoopMetrics::new(Arc::clone(&auth))));
        let state = HttpState::new(
            Arc::clone(&auth),
            ring,
            Arc::clone(&env.clock),
            config.policy.jwks_max_age,
            config.cookie_domain,
        );
        let boundary = Boundary {
            proxies: config.trusted_proxies,
            cors_origins: config.cors_origins,
            oauth_path: Some("/oauth/"),
            completes: Some(Arc::new(state.clone())),
            ..Boundary::new(env.clock, env.random, HttpMetrics::register(&mut registry))
        };
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
            http,
            grpc,
            ops,
            http_routes: boundary::layers(routes(state), boundary),
            grpc_routes: services.map_err(Failure::start)?,
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
        let Self { auth, health, http, grpc, ops, http_routes, grpc_routes, registry, ending } = self;
        tracing::info!(http.address = %http.address, grpc.address = %grpc.address, ops.address = %ops.address, "listening");
        let readiness = Arc::new(Ready(Arc::clone(&auth)));
        let ops_routes = operations::router(readiness, registry, stop.clone());
        let keeper = Arc::clone(&auth);
        let drained = CancellationToken::new();
        let serving = async {
            tokio::join!(
                listener::serve(http, http_routes, Limits::default(), stop.clone()),
                listener::serve(grpc, grpc_routes, Limits::default(), stop.clone()),
                grpc::health::report(health, auth, stop.clone()),
                async {
                    stop.cancelled().await;
                    ending.cancel();
                },
            );
            drained.cancel();
        };
        // The operations port says "not ready" while the others drain, and its own share of the end is short.
        let limits = Limits { drain: Duration::from_secs(1), ..Limits::default() };
        let operating = listener::serve(ops, ops_routes, limits, drained.clone());
        tokio::select! {
            _ = async { tokio::join!(serving, operating) } => {}
            () = keeper.keep_current() => {}
        }
        keeper.watch.release_watchers().await;
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

/// Opens the database and returns the key ring and the operations. No port is bound.
///
/// # Errors
/// [`Failure`] says what could not be opened.
pub async fn open(config: &Config, env: &Env) -> Result<(Arc<KeyRing>, Arc<AuthService>), Failure> {
    let random = &*env.random;
    let master = MasterKey::read_or_make(&config.master_key_file, random).map_err(|error| {
        Failure::start(format!("AUTH_MASTER_KEY_FILE: {}: {error}", config.master_key_file.display()))
    })?;
    let sealer = Sealer::new(&master).map_err(Failure::start)?;
    let store = Store::open(config.database.clone()).map_err(|error| {
        Failure::start(format!("AUTH_DATABASE_URL: {}: {error}", config.database.as_path().display()))
    })?;
    let now = env.clock.now();
    let sealing = signing::sealing(&store, sealer, random).await.map_err(Failure::start)?;
    let ring = signing::signing_ring(&store, &sealing, random, now).await.map_err(Failure::start)?;
    let refresh = refresh_keys::read_or_make(&store, &sealing, random, now).await.map_err(Failure::start)?;
    let material = KeyMaterial {
        ring: Arc::new(ring),
        refresh: ArcSwap::from_pointee(refresh),
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

#[derive(Debug)]
struct Ready(Arc<AuthService>);

impl Readiness for Ready {
    fn check(&self) -> Result<(), String> {
        self.0.health().map_err(|error| error.to_string())
    }
}
