//! The composition root: wires the modules, binds the ports, runs, drains. It decides nothing.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use countermark::{
    forward_auth::{self, ForwardAuth},
    http::Guard,
    issuer::FollowedIssuer,
};
use countermark_service::{
    connections::ConnectionMetrics,
    database::Database,
    env::Env,
    exit::Failure,
    exposed::warn_of_exposed,
    gauges::{CertificateMetrics, DatabaseMetrics, ProcessMetrics},
    http::{Boundary, layers},
    limits::Limits,
    listener::{self, Port},
    metrics::HttpMetrics,
    ops::{self, Readiness},
    ports::PortLimits,
    settings::urls::is_in_the_clear,
};
use prometheus_client::registry::Registry;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, RulesFile},
    documents::{self, store::SCHEMA},
    http::{self, HttpState},
    verifying::{self, IssuerMetrics},
};

/// The service, its ports bound and its database open, not serving yet.
#[derive(Debug)]
pub struct App {
    http: Port,
    ops: Port,
    router: Router,
    limits: PortLimits,
    registry: Arc<Registry>,
    readiness: Arc<Ready>,
    /// The rules for proxies, and who decides by them.
    rules: Option<(RulesFile, ForwardAuth)>,
}

impl App {
    /// Binds both ports and opens the database. The issuer's keys are not waited for: until they come, protected routes
    /// answer 503. Call it inside a tokio runtime.
    pub fn bind(config: Config, env: Env) -> Result<Self, Failure> {
        let http = Port::bind("RESOURCE_HTTP_ADDR", config.http_addr)?
            .secured(config.http_tls.clone(), &env.clock)
            .map_err(Failure::start)?;
        let ops = Port::bind("RESOURCE_OPS_ADDR", config.ops_addr)?;
        let database = open(&config)?;
        warn_of_doubtful(&config);
        let issuer = verifying::follow(&config, &env, http.address)?;
        let guard = verifying::guard(&issuer, &config);
        let documents =
            documents::Store::new(database.clone(), Arc::clone(&env.clock), Arc::clone(&env.random));
        let (gate, rules) = (forward_auth(&config, &guard), config.forward_auth.clone());
        let router = http::router(HttpState { guard, documents }).merge(routes_of(gate.clone()));
        let mut registry = Registry::with_prefix("countermark");
        let limits = PortLimits::new(config.max_connections, 1, config.trusted_proxies.clone());
        let connections = ConnectionMetrics::register(&mut registry);
        let (http, ops) = (http.measured(connections.of("http")), ops.measured(connections.of("ops")));
        let router = layers(router, boundary(config, env, HttpMetrics::register(&mut registry)));
        let router = http::uncached(router);
        registry.register_collector(Box::new(IssuerMetrics(issuer.clone())));
        registry.register_collector(Box::new(ProcessMetrics));
        registry.register_collector(Box::new(DatabaseMetrics(database.clone())));
        registry.register_collector(Box::new(CertificateMetrics::new([("http", http.tls())])));
        let readiness = Arc::new(Ready { issuer, database });
        let rules = rules.zip(gate);
        Ok(Self { http, ops, router, limits, registry: Arc::new(registry), readiness, rules })
    }

    /// Where the HTTP port is bound.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http.address
    }

    /// Where the operations port is bound.
    #[must_use]
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops.address
    }

    /// What SIGHUP asks for: reads the rules for proxies again. Says what became of it. When the file can't be used, the rules
    /// stay as they are.
    pub fn reread(&self) -> impl Fn() -> Result<String, String> + Send + Sync + 'static {
        let rules = self.rules.clone();
        move || {
            let outcome = match &rules {
                None => "there are no rules for proxies to read again",
                Some((file, gate)) => {
                    let rules = file.read_again();
                    gate.replace_rules(
                        rules.map_err(|problem| format!("the rules stay as they are: {problem}"))?,
                    );
                    "the rules for proxies were read again"
                }
            };
            Ok(format!("{outcome}; certificates are read again every second without it"))
        }
    }

    /// Serves, and keeps the keys and revocations current, until `stop`. Then readiness falls, requests in flight finish, and
    /// it returns within 10 s. If the future is dropped, everything ends at once.
    pub async fn run(self, stop: CancellationToken) {
        let Self { http, ops, router, limits, registry, readiness, .. } = self;
        tracing::info!(http.address = %http.address, ops.address = %ops.address, "listening");
        let issuer = readiness.issuer.clone();
        let ops_router = ops::router(readiness, registry, stop.clone());
        let drained = CancellationToken::new();
        let serving = async {
            listener::serve(http, router, limits.public, stop).await;
            drained.cancel();
        };
        // The operations port answers until the end, and drains for a short time only.
        let ops_limits = Limits { drain: Duration::from_secs(1), ..limits.ops };
        let operating = listener::serve(ops, ops_router, ops_limits, drained.clone());
        tokio::join!(serving, operating, issuer.keep_current(drained.cancelled()));
        tracing::info!("stopped");
    }
}

/// Warns of addresses that work, and are rarely meant.
fn warn_of_doubtful(config: &Config) {
    let keys = ("the keys that all tokens are verified with come", Some(&config.auth_url));
    let stream = ("the client's secret and revocations travel", config.auth_grpc.as_ref());
    for (what, url) in [keys, stream] {
        if let Some(url) = url.filter(|url| is_in_the_clear(url.as_str())) {
            tracing::warn!(%url, "an http URL of another host: {what} in the clear");
        }
    }
    let secrets = config.secret_files.iter().map(PathBuf::as_path);
    warn_of_exposed(secrets.chain([config.database.as_path()]));
}

fn open(config: &Config) -> Result<Database, Failure> {
    Database::open(config.database.clone(), SCHEMA).map_err(|error| {
        let path = config.database.as_path().display();
        Failure::start(format!("RESOURCE_DATABASE_URL: can't open {path}: {error}"))
    })
}

/// Who decides for proxies. Nobody does without rules.
fn forward_auth(config: &Config, guard: &Guard) -> Option<ForwardAuth> {
    let RulesFile { rules, .. } = config.forward_auth.clone()?;
    let proxies = config.trusted_proxies.clone();
    let gate = ForwardAuth::new(guard.clone()).with_rules(rules);
    Some(gate.trusting(move |address| proxies.trusts(address)))
}

/// The routes that proxies ask. The protocols of the proxies describe them, so they are not in the OpenAPI document.
fn routes_of(gate: Option<ForwardAuth>) -> Router {
    let Some(gate) = gate else { return Router::new() };
    forward_auth::http::router(gate.clone()).merge(forward_auth::ext_authz::router(gate))
}

fn boundary(config: Config, env: Env, metrics: HttpMetrics) -> Boundary {
    let mut boundary = Boundary::new(env.clock, env.random, metrics);
    boundary.proxies = config.trusted_proxies;
    boundary.cors_origins = config.cors_origins;
    boundary.body_limit = http::MAX_BODY_BYTES as u64;
    boundary
}

/// Whether tokens can be verified and documents can be read.
#[derive(Debug)]
struct Ready {
    issuer: FollowedIssuer,
    database: Database,
}

impl Readiness for Ready {
    fn check(&self) -> Result<(), String> {
        if !self.issuer.is_ready() {
            return Err("the issuer's keys have not been fetched yet".to_owned());
        }
        self.database.health().map_err(|error| error.to_string())
    }

    fn standing(&self) -> Map<String, Value> {
        verifying::standing(&self.issuer)
    }
}
