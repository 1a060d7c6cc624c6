//! Starts both services in this process, as their own binaries do, and stops them.

use std::{env, fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use auth_service::cli::init;
use clap::ArgMatches;
use countermark::{
    clock::{Clock, SystemClock, Timestamp},
    random::SystemRandom,
};
use countermark_service::{
    env::Env,
    exit::Failure,
    ops::healthcheck,
    settings::{Setting, Settings},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// The email address of the demo account.
pub(crate) const EMAIL: &str = "test@example.com";

/// The password of the demo account.
pub(crate) const PASSWORD: &str = "password";

/// Maximum time until the services are ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// The ports that are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// The ports of the settings.
    Configured,
    /// Free ports that the system chooses.
    Any,
}

/// Both services, running.
pub(crate) struct Services {
    /// The address of auth-service's HTTP port.
    pub(crate) auth: SocketAddr,
    /// The address of auth-service's gRPC port.
    pub(crate) grpc: SocketAddr,
    /// The address of resource-service's HTTP port.
    pub(crate) resource: SocketAddr,
    /// The secret of the client `resource-service`, which may introspect tokens.
    pub(crate) client_secret: String,
    /// An expired token of the demo account.
    pub(crate) expired_token: String,
    stop: CancellationToken,
    running: [JoinHandle<()>; 2],
}

impl Services {
    /// Starts both services with the data in `folder`, and waits until they are ready.
    pub(crate) async fn start(folder: &Path, ports: Ports) -> Result<Self, Failure> {
        init::make(folder, true, &SystemRandom).map_err(Failure::Start)?;
        let secret = folder.join("resource-service.secret");
        let client_secret = fs::read_to_string(&secret)
            .map_err(|error| Failure::start(format!("{}: {error}", secret.display())))?;
        let expired_token = expired_token(folder).await?;

        let auth = auth_service::app::App::bind(auth_config(folder, ports)?, env(SystemClock::new())).await?;
        let (auth_addr, grpc, auth_ops) = (auth.http_addr(), auth.grpc_addr(), auth.ops_addr());
        let resource = resource_service::app::App::bind(
            resource_config(folder, ports, auth_addr, grpc)?,
            Env::default(),
        )?;
        let (resource_addr, resource_ops) = (resource.http_addr(), resource.ops_addr());

        let stop = CancellationToken::new();
        let running = [tokio::spawn(auth.run(stop.clone())), tokio::spawn(resource.run(stop.clone()))];
        ready(&[auth_ops, resource_ops]).await?;
        Ok(Self {
            auth: auth_addr,
            grpc,
            resource: resource_addr,
            client_secret,
            expired_token,
            stop,
            running,
        })
    }

    /// Stops both services after the requests in flight.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for service in self.running {
            drop(service.await);
        }
    }
}

/// Gets an expired token for the tour: auth-service mints it with a clock that is behind.
async fn expired_token(folder: &Path) -> Result<String, Failure> {
    let config = auth_config(folder, Ports::Any)?;
    let behind = config.policy.access_ttl + Duration::from_hours(1);
    let clock = Behind { clock: SystemClock::new(), behind };
    let app = auth_service::app::App::bind(config, env(clock)).await?;
    let address = app.http_addr();
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    let client = Client::new().map_err(Failure::Start)?;
    let token = async {
        let token = client.login(address, EMAIL, PASSWORD).await?;
        // The session is ended, so that only the token remains.
        client.logout(address, &token).await?;
        Ok(token)
    };
    let token = token.await;
    stop.cancel();
    drop(running.await);
    token.map_err(Failure::Start)
}

fn auth_config(folder: &Path, ports: Ports) -> Result<auth_service::config::Config, Failure> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut settings = vec![
        ("AUTH_DATABASE_URL", format!("sqlite://{}", path("auth.db"))),
        ("AUTH_MASTER_KEY_FILE", path("master.key")),
        ("AUTH_BOOTSTRAP_FILE", path("bootstrap.toml")),
    ];
    if ports == Ports::Any {
        settings.extend(any_port(&["AUTH_HTTP_ADDR", "AUTH_GRPC_ADDR", "AUTH_OPS_ADDR"]));
    }
    let settings = collect(auth_service::config::SETTINGS, &settings)?;
    Ok(auth_service::config::Config::parse(&settings)?)
}

fn resource_config(
    folder: &Path,
    ports: Ports,
    auth: SocketAddr,
    grpc: SocketAddr,
) -> Result<resource_service::config::Config, Failure> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut settings = vec![
        ("RESOURCE_DATABASE_URL", format!("sqlite://{}", path("resource.db"))),
        ("RESOURCE_AUTH_URL", format!("http://{auth}")),
        ("RESOURCE_AUTH_GRPC", format!("http://{grpc}")),
        ("RESOURCE_CLIENT_ID", "resource-service".to_owned()),
        ("RESOURCE_CLIENT_SECRET_FILE", path("resource-service.secret")),
        ("RESOURCE_BUNDLE_FILE", path("verifier.bundle")),
    ];
    if ports == Ports::Any {
        settings.extend(any_port(&["RESOURCE_HTTP_ADDR", "RESOURCE_OPS_ADDR"]));
    }
    let settings = collect(resource_service::config::SETTINGS, &settings)?;
    Ok(resource_service::config::Config::parse(&settings)?)
}

fn any_port<'a>(names: &'a [&'a str]) -> impl Iterator<Item = (&'a str, String)> {
    names.iter().map(|&name| (name, "127.0.0.1:0".to_owned()))
}

/// Collects the settings. The quickstart's own override the environment.
fn collect(declared: &'static [Setting], own: &[(&str, String)]) -> Result<Settings, Failure> {
    let given = |name: &str| {
        let own = own.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        own.or_else(|| env::var_os(name))
    };
    Ok(Settings::collect(declared, &ArgMatches::default(), &[], given)?)
}

fn env(clock: impl Clock) -> Env {
    Env { clock: Arc::new(clock), random: Arc::new(SystemRandom) }
}

/// Waits until every operations port reports that its service is ready.
async fn ready(ports: &[SocketAddr]) -> Result<(), Failure> {
    let all = ports.to_vec();
    let waiting = async {
        for port in all {
            while tokio::task::spawn_blocking(move || healthcheck(port))
                .await
                .is_ok_and(|answer| answer.is_err())
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(READY_WITHIN, waiting)
        .await
        .map_err(|_| Failure::start("the services did not become ready; AUTH_LOG=info tells more"))
}

/// A clock that is behind by `behind`.
#[derive(Debug)]
struct Behind {
    clock: SystemClock,
    behind: Duration,
}

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        self.clock.now().before(self.behind)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}
