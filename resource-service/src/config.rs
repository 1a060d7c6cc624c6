//! All settings of this service. They are parsed and checked before a port is bound.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use countermark::{
    forward_auth::Rules,
    http::Location,
    verify::{Audience, Issuer, Opaque, StalePolicy},
};
use countermark_service::{
    address::TrustedProxies,
    client_tls::ClientTls,
    database::DatabasePath,
    http::CorsOrigin,
    settings::{Setting, SettingError, Settings},
    telemetry::Filter,
    tls::{Names, TlsFiles},
};
use url::Url;
use zeroize::Zeroizing;

/// All settings, in the order of `--help`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("RESOURCE_HTTP_ADDR", "127.0.0.1:8081", "Address of the HTTP port"),
    Setting::new("RESOURCE_OPS_ADDR", "127.0.0.1:9081", "Address of the operations port: health and metrics"),
    Setting::optional(
        "RESOURCE_TLS_CERT_FILE",
        "Certificate chain of the HTTP port, in PEM; reloaded when it changes [default: no TLS]",
    ),
    Setting::optional(
        "RESOURCE_TLS_KEY_FILE",
        "Key of that certificate, in PEM; only its owner and group may have read access",
    ),
    Setting::optional(
        "RESOURCE_HTTP_CLIENT_CA_FILE",
        "CA certificates in PEM; clients of the HTTP port must present a certificate of theirs [default: none]",
    ),
    Setting::new(
        "RESOURCE_ISSUER",
        "http://localhost:8080",
        "The trusted issuer: `iss` of accepted tokens, compared exactly",
    ),
    Setting::new("RESOURCE_AUDIENCE", "resource-service", "The audience that tokens must be for: `aud`"),
    Setting::optional("RESOURCE_AUTH_URL", "URL for fetching the issuer's keys [default: the issuer]"),
    Setting::optional(
        "RESOURCE_AUTH_GRPC",
        "URL of the issuer's gRPC port, which streams revocations [default: none, only keys are polled]",
    ),
    Setting::optional(
        "RESOURCE_AUTH_CA_FILE",
        "CA certificates of the issuer's ports, in PEM [default: the system's roots]",
    ),
    Setting::optional(
        "RESOURCE_CLIENT_CERT_FILE",
        "Certificate chain that this service presents to the issuer's ports, in PEM [default: none]",
    ),
    Setting::optional(
        "RESOURCE_CLIENT_KEY_FILE",
        "Key of that certificate, in PEM; only its owner and group may have read access",
    ),
    Setting::optional("RESOURCE_CLIENT_ID", "This service's client id at the issuer's gRPC port"),
    Setting::optional("RESOURCE_CLIENT_SECRET", "Secret of that client").secret(),
    Setting::new("RESOURCE_DATABASE_URL", "sqlite://data/resource.db", "The database; created when absent"),
    Setting::new("RESOURCE_LEEWAY", "0s", "Tolerated clock difference at `exp` and `nbf`"),
    Setting::new(
        "RESOURCE_TOKEN_LOCATIONS",
        "header",
        "Where requests carry the token, in the order to try: header, cookie, query, json, form",
    ),
    Setting::new("RESOURCE_JWKS_COOLDOWN", "10s", "Minimum time between two fetches of the keys"),
    Setting::new("RESOURCE_JWKS_TIMEOUT", "3s", "Time-out for fetching the keys"),
    Setting::optional(
        "RESOURCE_JWKS_PROXY",
        "URL of an HTTP proxy for fetching the keys; HTTP_PROXY is ignored [default: none]",
    ),
    Setting::new(
        "RESOURCE_STALE_AFTER",
        "5s",
        "The verifier is stale when it has received nothing from the issuer for this long",
    ),
    Setting::new(
        "RESOURCE_STALE_POLICY",
        "allow",
        "Policy for tokens while stale: allow, introspect or deny",
    ),
    Setting::new(
        "RESOURCE_BUNDLE_FILE",
        "data/verifier.bundle",
        "File that keeps keys and revocations across a restart",
    ),
    Setting::new("RESOURCE_BUNDLE_TTL", "24h", "Maximum age of that file"),
    Setting::optional(
        "RESOURCE_TRUSTED_PROXIES",
        "Proxies that are trusted to name the client's address and, at /auth, its request; a comma list of CIDRs",
    ),
    Setting::new(
        "RESOURCE_MAX_CONNECTIONS",
        "4096",
        "Most connections of the HTTP port; then the one that idles longest of the address with most is closed",
    ),
    Setting::optional("RESOURCE_CORS_ORIGINS", "Origins that browsers may call from, a comma list"),
    Setting::optional(
        "RESOURCE_FORWARD_AUTH_RULES",
        "TOML file of rules for proxies that ask at /auth or by Envoy's ext_authz; read again at SIGHUP [default: off]",
    ),
    Setting::new("RESOURCE_LOG", "info", "Log level: error, warn, info, debug, trace, or a filter"),
    Setting::optional(
        "RESOURCE_CONFIG_FILE",
        "TOML file of these settings [default: resource-service.toml here, or else in /etc/countermark]",
    ),
];

/// The settings of the HTTP port's TLS files.
const TLS: Names = Names {
    certificate: "RESOURCE_TLS_CERT_FILE",
    key: "RESOURCE_TLS_KEY_FILE",
    client_ca: "RESOURCE_HTTP_CLIENT_CA_FILE",
};

/// The settings of the TLS files for connections to the issuer's ports.
const AUTH_TLS: Names = Names {
    certificate: "RESOURCE_CLIENT_CERT_FILE",
    key: "RESOURCE_CLIENT_KEY_FILE",
    client_ca: "RESOURCE_AUTH_CA_FILE",
};

/// The parsed settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address of the HTTP port.
    pub http_addr: SocketAddr,
    /// The address of the operations port.
    pub ops_addr: SocketAddr,
    /// The TLS files of the HTTP port. `None`: the port uses no TLS.
    pub http_tls: Option<TlsFiles>,
    /// The trusted issuer.
    pub issuer: Issuer,
    /// The audience that tokens must be for. Also the realm of challenges.
    pub audience: Audience,
    /// The base URL for fetching the issuer's keys: the issuer's own, or the one at which this service reaches it.
    pub auth_url: Url,
    /// The URL of the issuer's gRPC port. `None`: keys are polled, and revocations are not known.
    pub auth_grpc: Option<Url>,
    /// TLS towards the issuer's ports.
    pub auth_tls: ClientTls,
    /// The credentials of this service at the gRPC port.
    pub client: Option<Client>,
    /// The path of the database.
    pub database: DatabasePath,
    /// The files that secrets were read from.
    pub secret_files: Vec<PathBuf>,
    /// The tolerated clock difference at `exp` and `nbf`.
    pub leeway: Duration,
    /// The locations of the token in a request, in the order to try.
    pub token_locations: Vec<Location>,
    /// The minimum time between two fetches of the keys.
    pub jwks_cooldown: Duration,
    /// The time-out for fetching the keys.
    pub jwks_timeout: Duration,
    /// The HTTP proxy for fetching the keys.
    pub jwks_proxy: Option<Url>,
    /// The time without a message from the issuer after which this verifier is stale.
    pub stale_after: Duration,
    /// The policy for tokens while this verifier is stale.
    pub stale_policy: StalePolicy,
    /// The file that keeps keys and revocations across a restart.
    pub bundle_file: PathBuf,
    /// The maximum age of that file.
    pub bundle_ttl: Duration,
    /// The rules for proxies. `None`: proxies are not answered.
    pub forward_auth: Option<RulesFile>,
    /// The proxies that are trusted to name the client's address and its request.
    pub trusted_proxies: TrustedProxies,
    /// The maximum number of connections of the HTTP port.
    pub max_connections: usize,
    /// The origins that browsers may call from.
    pub cors_origins: Vec<CorsOrigin>,
}

/// The credentials of this service at the issuer's gRPC port.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id.
    pub id: Opaque,
    /// The client secret.
    pub secret: ClientSecret,
}

/// A client secret. It appears in no output. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// The secret as text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Config {
    /// Parses and checks all settings except the log's. Reads the TLS files and the forward-auth rules, and writes
    /// nothing.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid setting, and says why it is invalid.
    pub fn parse(settings: &Settings) -> Result<Self, SettingError> {
        const DAY: Duration = Duration::from_hours(24);
        Ok(Self {
            http_addr: settings.address("RESOURCE_HTTP_ADDR")?,
            ops_addr: settings.address("RESOURCE_OPS_ADDR")?,
            http_tls: TlsFiles::read(settings, TLS)?,
            issuer: settings.issuer("RESOURCE_ISSUER")?,
            audience: audience(settings)?,
            auth_url: auth_url(settings)?,
            auth_grpc: auth_grpc(settings)?,
            auth_tls: ClientTls::read(settings, AUTH_TLS)?,
            client: client(settings)?,
            database: settings.parse("RESOURCE_DATABASE_URL")?,
            secret_files: settings.secret_files().to_vec(),
            leeway: span(settings, "RESOURCE_LEEWAY", Duration::ZERO, Duration::from_mins(10))?,
            token_locations: token_locations(settings)?,
            jwks_cooldown: span(settings, "RESOURCE_JWKS_COOLDOWN", Duration::ZERO, DAY)?,
            jwks_timeout: span(settings, "RESOURCE_JWKS_TIMEOUT", INSTANT, Duration::from_secs(30))?,
            jwks_proxy: jwks_proxy(settings)?,
            stale_after: span(settings, "RESOURCE_STALE_AFTER", INSTANT, DAY)?,
            stale_policy: stale_policy(settings)?,
            bundle_file: settings.text("RESOURCE_BUNDLE_FILE")?.into(),
            bundle_ttl: span(settings, "RESOURCE_BUNDLE_TTL", INSTANT, DAY * 365)?,
            forward_auth: forward_auth(settings)?,
            trusted_proxies: TrustedProxies::new(settings.parse_list("RESOURCE_TRUSTED_PROXIES")?),
            max_connections: max_connections(settings, "RESOURCE_MAX_CONNECTIONS")?,
            cors_origins: settings.parse_list("RESOURCE_CORS_ORIGINS")?,
        })
    }
}

/// Parses the log filter. It is not part of [`Config`], because a process has one log but may run several services.
///
/// # Errors
/// [`SettingError`] when `RESOURCE_LOG` is not a filter.
pub fn log(settings: &Settings) -> Result<Filter, SettingError> {
    settings.parse("RESOURCE_LOG")
}

/// Minimum of durations that a zero must not switch off.
const INSTANT: Duration = Duration::from_millis(1);

fn span(settings: &Settings, name: &str, least: Duration, most: Duration) -> Result<Duration, SettingError> {
    let span = settings.duration(name)?;
    if (least..=most).contains(&span) {
        return Ok(span);
    }
    let [least, most] = [least, most].map(humantime::format_duration);
    Err(settings.refuse(name, format!("must be from {least} to {most}")))
}

fn max_connections(settings: &Settings, name: &str) -> Result<usize, SettingError> {
    match settings.number(name)? {
        most @ 1..=1_000_000 => Ok(most),
        _ => Err(settings.refuse(name, "must be from 1 to 1000000")),
    }
}

fn audience(settings: &Settings) -> Result<Audience, SettingError> {
    let text = settings.text("RESOURCE_AUDIENCE")?;
    if text.len() <= 255 && !text.contains(|c: char| c == ',' || c.is_control()) {
        return Ok(Audience::new(text));
    }
    let problem = "must be one audience: at most 255 bytes, without commas or control characters";
    Err(settings.refuse("RESOURCE_AUDIENCE", problem))
}

fn auth_url(settings: &Settings) -> Result<Url, SettingError> {
    match settings.optional("RESOURCE_AUTH_URL") {
        Some(_) => settings.http_url("RESOURCE_AUTH_URL"),
        None => settings.http_url("RESOURCE_ISSUER"),
    }
}

fn jwks_proxy(settings: &Settings) -> Result<Option<Url>, SettingError> {
    let name = "RESOURCE_JWKS_PROXY";
    settings.optional(name).map(|_| settings.host_url(name)).transpose()
}

fn auth_grpc(settings: &Settings) -> Result<Option<Url>, SettingError> {
    let name = "RESOURCE_AUTH_GRPC";
    if settings.optional(name).is_none() {
        return Ok(None);
    }
    let url = settings.host_url(name)?;
    if settings.optional("RESOURCE_CLIENT_ID").is_none() {
        let problem = "is not set, but RESOURCE_AUTH_GRPC is: the issuer streams revocations only to registered clients";
        return Err(SettingError::new("RESOURCE_CLIENT_ID", problem));
    }
    Ok(Some(url))
}

fn stale_policy(settings: &Settings) -> Result<StalePolicy, SettingError> {
    let name = "RESOURCE_STALE_POLICY";
    let policy = settings.parse(name)?;
    if policy != StalePolicy::Allow && settings.optional("RESOURCE_AUTH_GRPC").is_none() {
        // Without the stream this policy can't be kept, and the operator relies on it.
        return Err(settings.refuse(name, "needs RESOURCE_AUTH_GRPC"));
    }
    Ok(policy)
}

fn client(settings: &Settings) -> Result<Option<Client>, SettingError> {
    let id = settings.parse_optional("RESOURCE_CLIENT_ID")?;
    match (id, settings.optional("RESOURCE_CLIENT_SECRET")) {
        (Some(id), Some(secret)) => {
            let secret = ClientSecret(Zeroizing::new(secret.to_owned()));
            Ok(Some(Client { id, secret }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingError::new(
            "RESOURCE_CLIENT_SECRET_FILE",
            "is not set, but RESOURCE_CLIENT_ID is; set both or neither",
        )),
        (None, Some(_)) => Err(SettingError::new(
            "RESOURCE_CLIENT_ID",
            "is not set, but the client's secret is; set both or neither",
        )),
    }
}

fn token_locations(settings: &Settings) -> Result<Vec<Location>, SettingError> {
    let name = "RESOURCE_TOKEN_LOCATIONS";
    let mut locations = Vec::new();
    for entry in settings.list(name)? {
        match entry.parse::<Location>() {
            Ok(location) if !locations.contains(&location) => locations.push(location),
            Ok(_) | Err(_) => {
                return Err(
                    settings.refuse(name, "must be any of header, cookie, query, json and form, each once")
                );
            }
        }
    }
    Ok(locations)
}

fn forward_auth(settings: &Settings) -> Result<Option<RulesFile>, SettingError> {
    let name = "RESOURCE_FORWARD_AUTH_RULES";
    let Some(path) = settings.optional(name).map(PathBuf::from) else { return Ok(None) };
    let rules = read_rules(&path).map_err(|problem| settings.refuse(name, problem))?;
    Ok(Some(RulesFile { path, rules }))
}

/// The rules for proxies, and the file that they are in.
#[derive(Clone, Debug)]
pub struct RulesFile {
    path: PathBuf,
    /// The rules, as they were at the start.
    pub rules: Rules,
}

impl RulesFile {
    /// Reads the rules as they are now.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read_again(&self) -> Result<Rules, String> {
        read_rules(&self.path).map_err(|problem| format!("{} {problem}", self.path.display()))
    }
}

/// The largest file of rules, in bytes.
const LARGEST_RULES: u64 = 1024 * 1024;

/// The problem completes a sentence that names the file.
fn read_rules(path: &Path) -> Result<Rules, String> {
    let unreadable = |error: io::Error| format!("can't be read: {error}");
    // A pipe would be waited for, and a device has no end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no file".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_RULES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST_RULES {
        return Err("is larger than 1 MiB".to_owned());
    }
    Rules::from_toml(&text).map_err(|error| format!("holds no rules: {error}"))
}

#[cfg(test)]
mod tests;
