//! All settings of this service. They are parsed and checked before a port is bound.

pub mod bootstrap;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    thread,
    time::Duration,
};

use countermark::verify::{Audience, Issuer};
use countermark_service::{
    address::TrustedProxies,
    database::DatabasePath,
    http::CorsOrigin,
    settings::{Setting, SettingError, Settings},
    telemetry::Filter,
    tls::{Names, TlsFiles},
};

use crate::domain::{
    audience::is_id, login_limits::LoginLimits, password::Blocklist, session::Lifetimes,
    token_limits::TokenLimits,
};
use bootstrap::Bootstrap;

/// All settings, in the order of `--help`.
pub const SETTINGS: &[Setting] = &[
    Setting::new("AUTH_HTTP_ADDR", "127.0.0.1:8080", "Address of the HTTP port"),
    Setting::new("AUTH_GRPC_ADDR", "127.0.0.1:50051", "Address of the gRPC port"),
    Setting::new("AUTH_OPS_ADDR", "127.0.0.1:9080", "Address of the operations port: health and metrics"),
    Setting::optional(
        "AUTH_TLS_CERT_FILE",
        "Certificate chain of the HTTP and gRPC ports, in PEM; reloaded when it changes [default: no TLS]",
    ),
    Setting::optional(
        "AUTH_TLS_KEY_FILE",
        "Key of that certificate, in PEM; only its owner and group may have read access",
    ),
    Setting::optional(
        "AUTH_HTTP_CLIENT_CA_FILE",
        "CA certificates in PEM; clients of the HTTP port must present a certificate of theirs [default: none]",
    ),
    Setting::optional(
        "AUTH_GRPC_CLIENT_CA_FILE",
        "CA certificates in PEM; clients of the gRPC port must present a certificate of theirs [default: none]",
    ),
    Setting::new(
        "AUTH_ISSUER",
        "http://localhost:8080",
        "The issuer's URL: `iss` of every token, compared exactly",
    ),
    Setting::new(
        "AUTH_PATH_PREFIX",
        "kept",
        "With a path in the issuer's URL: `kept` when requests have it, `stripped` when a proxy takes it off",
    ),
    Setting::new("AUTH_AUDIENCE", "resource-service", "Audiences of a login's tokens, a comma list"),
    // The URL of a database server may contain a password.
    Setting::new("AUTH_DATABASE_URL", "sqlite://data/auth.db", "The database; created when absent").secret(),
    Setting::new(
        "AUTH_MASTER_KEY_FILE",
        "data/master.key",
        "File of the key that encrypts all other keys; created when absent",
    ),
    Setting::optional(
        "AUTH_MARK_FILE",
        "File that holds how far the database got, best on another volume; `off` for none [default: the database's path + .mark]",
    ),
    Setting::new("AUTH_ACCESS_TTL", "15m", "Lifetime of an access token from a login"),
    Setting::new("AUTH_REFRESHED_ACCESS_TTL", "5m", "Lifetime of an access token from a refresh"),
    Setting::new("AUTH_REFRESH_TTL", "30d", "A session ends when it was not refreshed for this long"),
    Setting::new(
        "AUTH_SESSION_TTL",
        "90d",
        "A session ends this long after its login, even if it is refreshed",
    ),
    Setting::new(
        "AUTH_REFRESH_GRACE",
        "10s",
        "For this long after a refresh, the old refresh token returns the same new one again",
    ),
    Setting::new(
        "AUTH_SESSIONS_PER_ACCOUNT",
        "50",
        "Sessions that an account may have; one more login ends the longest unused; `off` for no limit",
    ),
    Setting::new("AUTH_JWKS_MAX_AGE", "5m", "How long verifiers may cache the key set"),
    Setting::new("AUTH_KEY_MAX_AGE", "90d", "Age at which a signing key is replaced"),
    Setting::new(
        "AUTH_ROTATION_PATIENCE",
        "1h",
        "How long a rotation waits for a connected verifier that does not acknowledge the key set",
    ),
    Setting::new(
        "AUTH_WATCH_SCOPE",
        "warn",
        "Clients with the scope introspect but not watch: `warn` lets them watch, `require` does not",
    ),
    Setting::new(
        "AUTH_REGISTRATION",
        "closed",
        "Who may register: closed, open, or invite (with an invitation)",
    ),
    Setting::new(
        "AUTH_LOGIN_LIMITS",
        "account=10/min,address=100/min,global=off",
        "Limits on login attempts; `off` switches all limits off",
    ),
    Setting::new(
        "AUTH_TOKEN_LIMITS",
        "session=60/min,account=600/min,client=off",
        "Limits on refreshes and on requests to the token endpoints; `off` switches all limits off",
    ),
    Setting::optional(
        "AUTH_PASSWORD_BLOCKLIST_FILE",
        "Passwords that nobody may choose, one a line, besides the common ones",
    ),
    Setting::optional("AUTH_HASH_SLOTS", "Passwords hashed at once [default: cores − 1, at least 1]"),
    Setting::new(
        "AUTH_HASH_QUEUE",
        "32",
        "Passwords that may wait to be hashed; further logins are answered 503",
    ),
    Setting::optional(
        "AUTH_TRUSTED_PROXIES",
        "Proxies whose X-Forwarded-For header is trusted, a comma list of CIDRs",
    ),
    Setting::new(
        "AUTH_MAX_CONNECTIONS",
        "4096",
        "Most connections of the HTTP and of the gRPC port; then the one that idles longest of the address with most is closed",
    ),
    Setting::optional("AUTH_CORS_ORIGINS", "Origins that browsers may call from, a comma list"),
    Setting::optional(
        "AUTH_COOKIE_DOMAIN",
        "Domain of the access cookie; without it the cookie is sent to this host only",
    ),
    Setting::new("AUTH_GRPC_REFLECTION", "false", "Serve reflection on the gRPC port: true or false"),
    Setting::optional(
        "AUTH_BOOTSTRAP_FILE",
        "TOML file of audiences, clients and accounts, applied at each start",
    ),
    Setting::new("AUTH_AUDIT_TTL", "365d", "How long audit entries are kept"),
    Setting::new("AUTH_LOG", "info", "Log level: error, warn, info, debug, trace, or a filter"),
    Setting::optional(
        "AUTH_CONFIG_FILE",
        "TOML file of these settings [default: auth-service.toml here, or else in /etc/countermark]",
    ),
];

/// The parsed settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address of the HTTP port.
    pub http_addr: SocketAddr,
    /// The address of the gRPC port.
    pub grpc_addr: SocketAddr,
    /// The address of the operations port.
    pub ops_addr: SocketAddr,
    /// The TLS files of the HTTP port. `None`: the port uses no TLS.
    pub http_tls: Option<TlsFiles>,
    /// The TLS files of the gRPC port. `None`: the port uses no TLS.
    pub grpc_tls: Option<TlsFiles>,
    /// The path of the database.
    pub database: DatabasePath,
    /// The path of the mark, which holds how far the database got.
    pub mark_file: Option<PathBuf>,
    /// The path of the master key.
    pub master_key_file: PathBuf,
    /// `true` when a proxy takes the path of the issuer's URL off each request.
    pub is_path_stripped: bool,
    /// The settings of the operations.
    pub policy: Policy,
    /// The proxies whose `X-Forwarded-For` header is trusted.
    pub trusted_proxies: TrustedProxies,
    /// The maximum number of connections of each public port.
    pub max_connections: usize,
    /// The origins that browsers may call from.
    pub cors_origins: Vec<CorsOrigin>,
    /// The domain of the access cookie.
    pub cookie_domain: Option<String>,
    /// `true` when the gRPC port serves reflection.
    pub grpc_reflection: bool,
    /// The content of the bootstrap file.
    pub bootstrap: Bootstrap,
}

/// The settings of the operations.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The value of `iss` in every token.
    pub issuer: Issuer,
    /// The audiences of a login's tokens.
    pub audiences: Vec<Audience>,
    /// The lifetime of an access token from a login.
    pub access_ttl: Duration,
    /// The lifetime of an access token from a refresh.
    pub refreshed_access_ttl: Duration,
    /// The lifetimes of sessions.
    pub lifetimes: Lifetimes,
    /// The most sessions that an account may have. `None`: no limit.
    pub sessions_per_account: Option<NonZeroU32>,
    /// The policy for registration.
    pub registration: Registration,
    /// The time for which verifiers may cache the key set.
    pub jwks_max_age: Duration,
    /// The time for which a rotation waits for a connected watcher that does not acknowledge the key set.
    pub rotation_patience: Duration,
    /// Whether watching needs a scope of its own.
    pub watch_scope: WatchScope,
    /// The age at which a signing key is replaced.
    pub key_max_age: Duration,
    /// The limits on login attempts.
    pub login_limits: LoginLimits,
    /// The limits on requests for tokens, and on revocations.
    pub token_limits: TokenLimits,
    /// Passwords that nobody may choose, besides the common ones.
    pub blocklist: Arc<Blocklist>,
    /// The time for which audit entries are kept.
    pub audit_ttl: Duration,
    /// The number of passwords that are hashed at once.
    pub hash_slots: usize,
    /// The number of passwords that may wait to be hashed.
    pub hash_queue: usize,
}

/// Whether watching needs the scope `watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchScope {
    /// The scope `introspect` is enough, with a warning.
    Warn,
    /// It is needed.
    Require,
}

/// The text is not one of the two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither warn nor require")]
pub struct UnknownWatchScope;

impl FromStr for WatchScope {
    type Err = UnknownWatchScope;

    fn from_str(text: &str) -> Result<Self, UnknownWatchScope> {
        match text {
            "warn" => Ok(Self::Warn),
            "require" => Ok(Self::Require),
            _ => Err(UnknownWatchScope),
        }
    }
}

/// The policy for registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Only operators add accounts.
    Closed,
    /// Everybody may register.
    Open,
    /// A user with an invitation may register.
    Invite,
}

/// The text is not the name of a registration policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of closed, open and invite")]
pub struct UnknownRegistration;

impl FromStr for Registration {
    type Err = UnknownRegistration;

    fn from_str(text: &str) -> Result<Self, UnknownRegistration> {
        match text {
            "closed" => Ok(Self::Closed),
            "open" => Ok(Self::Open),
            "invite" => Ok(Self::Invite),
            _ => Err(UnknownRegistration),
        }
    }
}

impl Config {
    /// Parses and checks all settings. Reads the bootstrap file and the TLS files, and writes nothing.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid setting, and says why it is invalid.
    pub fn parse(settings: &Settings) -> Result<Self, SettingError> {
        // `serve` reads this setting again when logging starts. It is checked here with the others.
        settings.parse::<Filter>("AUTH_LOG")?;
        Ok(Self {
            http_addr: settings.address("AUTH_HTTP_ADDR")?,
            grpc_addr: settings.address("AUTH_GRPC_ADDR")?,
            ops_addr: settings.address("AUTH_OPS_ADDR")?,
            http_tls: tls(settings, "AUTH_HTTP_CLIENT_CA_FILE")?,
            grpc_tls: tls(settings, "AUTH_GRPC_CLIENT_CA_FILE")?,
            mark_file: mark_file(settings)?,
            database: database(settings)?,
            master_key_file: settings.text("AUTH_MASTER_KEY_FILE")?.into(),
            is_path_stripped: is_path_stripped(settings)?,
            policy: policy(settings)?,
            trusted_proxies: TrustedProxies::new(settings.parse_list("AUTH_TRUSTED_PROXIES")?),
            max_connections: max_connections(settings, "AUTH_MAX_CONNECTIONS")?,
            cors_origins: settings.parse_list("AUTH_CORS_ORIGINS")?,
            cookie_domain: settings.cookie_domain("AUTH_COOKIE_DOMAIN", &settings.issuer("AUTH_ISSUER")?)?,
            grpc_reflection: settings.flag("AUTH_GRPC_REFLECTION")?,
            bootstrap: Bootstrap::read(settings)?,
        })
    }
}

fn max_connections(settings: &Settings, name: &str) -> Result<usize, SettingError> {
    match settings.number(name)? {
        most @ 1..=1_000_000 => Ok(most),
        _ => Err(settings.refuse(name, "must be from 1 to 1000000")),
    }
}

fn tls(settings: &Settings, client_ca: &'static str) -> Result<Option<TlsFiles>, SettingError> {
    let names = Names { certificate: "AUTH_TLS_CERT_FILE", key: "AUTH_TLS_KEY_FILE", client_ca };
    TlsFiles::read(settings, names)
}

fn database(settings: &Settings) -> Result<DatabasePath, SettingError> {
    let name = "AUTH_DATABASE_URL";
    if settings.text(name)?.starts_with("postgres") {
        return Err(
            settings.refuse(name, "PostgreSQL is not served by this version; write sqlite://data/auth.db")
        );
    }
    settings.parse(name)
}

fn mark_file(settings: &Settings) -> Result<Option<PathBuf>, SettingError> {
    match settings.optional("AUTH_MARK_FILE") {
        Some("off") => Ok(None),
        Some(path) if path.ends_with('/') => {
            Err(settings.refuse("AUTH_MARK_FILE", "is a folder; write the path of a file, or `off`"))
        }
        Some(path) if database(settings)?.as_path() == Path::new(path) => {
            Err(settings.refuse("AUTH_MARK_FILE", "is the database itself; write another path, or `off`"))
        }
        Some(path) => Ok(Some(path.into())),
        None => {
            let mut path = database(settings)?.as_path().as_os_str().to_owned();
            path.push(".mark");
            Ok(Some(path.into()))
        }
    }
}

fn policy(settings: &Settings) -> Result<Policy, SettingError> {
    let lifetimes = Lifetimes {
        idle: lifetime(settings, "AUTH_REFRESH_TTL")?,
        absolute: lifetime(settings, "AUTH_SESSION_TTL")?,
        grace: grace(settings)?,
    };
    Ok(Policy {
        issuer: settings.issuer("AUTH_ISSUER")?,
        audiences: audiences(settings)?,
        access_ttl: lifetime(settings, "AUTH_ACCESS_TTL")?,
        refreshed_access_ttl: lifetime(settings, "AUTH_REFRESHED_ACCESS_TTL")?,
        lifetimes,
        sessions_per_account: sessions_per_account(settings)?,
        registration: settings.parse("AUTH_REGISTRATION")?,
        jwks_max_age: lifetime(settings, "AUTH_JWKS_MAX_AGE")?,
        rotation_patience: lifetime(settings, "AUTH_ROTATION_PATIENCE")?,
        watch_scope: settings.parse("AUTH_WATCH_SCOPE")?,
        key_max_age: lifetime(settings, "AUTH_KEY_MAX_AGE")?,
        login_limits: settings.parse("AUTH_LOGIN_LIMITS")?,
        token_limits: settings.parse("AUTH_TOKEN_LIMITS")?,
        blocklist: blocklist(settings)?,
        audit_ttl: lifetime(settings, "AUTH_AUDIT_TTL")?,
        hash_slots: hash_slots(settings)?,
        hash_queue: settings.number("AUTH_HASH_QUEUE")?,
    })
}

fn sessions_per_account(settings: &Settings) -> Result<Option<NonZeroU32>, SettingError> {
    let name = "AUTH_SESSIONS_PER_ACCOUNT";
    match settings.text(name)? {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| settings.refuse(name, "must be 1 or more, or `off`")),
    }
}

/// Parses the grace window. A retry comes within seconds; a window of days would let a thief stay.
fn grace(settings: &Settings) -> Result<Duration, SettingError> {
    const LONGEST: Duration = Duration::from_hours(1);
    let name = "AUTH_REFRESH_GRACE";
    let grace = settings.duration(name)?;
    if grace > LONGEST {
        return Err(settings.refuse(name, "must be at most 1h; a stolen refresh token is good for that long"));
    }
    Ok(grace)
}

/// Parses a lifetime. It must be whole seconds, because tokens carry seconds. It is at most ten years, so that dates
/// don't overflow.
fn lifetime(settings: &Settings, name: &str) -> Result<Duration, SettingError> {
    const LONGEST: Duration = Duration::from_hours(24 * 3_650);
    let span = settings.duration(name)?;
    if span.subsec_nanos() != 0 || span.is_zero() || span > LONGEST {
        return Err(settings.refuse(name, "must be at least 1s, in whole seconds, and at most ten years"));
    }
    Ok(span)
}

/// The path of an issuer's URL, from its slash on. Empty when there is none.
#[must_use]
pub fn issuer_path(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

fn is_path_stripped(settings: &Settings) -> Result<bool, SettingError> {
    match settings.text("AUTH_PATH_PREFIX")? {
        "kept" => Ok(false),
        "stripped" => Ok(true),
        _ => Err(settings.refuse("AUTH_PATH_PREFIX", "must be `kept` or `stripped`")),
    }
}

fn audiences(settings: &Settings) -> Result<Vec<Audience>, SettingError> {
    let audiences: Vec<_> = settings.list("AUTH_AUDIENCE")?.into_iter().map(Audience::new).collect();
    let is_unique = |audience: &Audience| audiences.iter().filter(|&other| other == audience).count() == 1;
    if !audiences.is_empty()
        && audiences.iter().all(|audience| is_id(audience.as_str()) && is_unique(audience))
    {
        Ok(audiences)
    } else {
        Err(settings.refuse(
            "AUTH_AUDIENCE",
            "must name at least one audience, each once, in at most 255 bytes without control characters",
        ))
    }
}

fn blocklist(settings: &Settings) -> Result<Arc<Blocklist>, SettingError> {
    const LARGEST: usize = 32 * 1024 * 1024;
    let name = "AUTH_PASSWORD_BLOCKLIST_FILE";
    let Some(text) = settings.file(name)? else { return Ok(Arc::default()) };
    if text.len() > LARGEST {
        return Err(settings.refuse(name, "is larger than 32 MiB; keep the most common passwords"));
    }
    Ok(Arc::new(Blocklist::parse(&text)))
}

fn hash_slots(settings: &Settings) -> Result<usize, SettingError> {
    let name = "AUTH_HASH_SLOTS";
    if settings.optional(name).is_none() {
        // One core is left free for other work.
        return Ok(thread::available_parallelism().map_or(1, NonZeroUsize::get).saturating_sub(1).max(1));
    }
    match settings.number(name)? {
        slots @ 1..=256 => Ok(slots),
        _ => Err(settings.refuse(name, "must be from 1 to 256")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, value: &str) -> Result<Config, SettingError> {
        Config::parse(&Settings::from_pairs(SETTINGS, [(name, value)])?)
    }

    #[test]
    fn every_default_is_good() {
        let config = Config::parse(&Settings::from_pairs(SETTINGS, [("", ""); 0]).unwrap()).unwrap();
        assert_eq!(config.http_addr.to_string(), "127.0.0.1:8080");
        assert_eq!(config.policy.access_ttl, Duration::from_mins(15));
        assert_eq!(config.policy.refreshed_access_ttl, Duration::from_mins(5));
        assert_eq!(config.policy.registration, Registration::Closed);
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (name, value) in [
            ("AUTH_HTTP_ADDR", "8080"),
            ("AUTH_GRPC_ADDR", "localhost"),
            ("AUTH_OPS_ADDR", ""),
            ("AUTH_MAX_CONNECTIONS", "0"),
            ("AUTH_MAX_CONNECTIONS", "1000001"),
            ("AUTH_MAX_CONNECTIONS", "many"),
            ("AUTH_HTTP_CLIENT_CA_FILE", "/nowhere/ca.pem"),
            ("AUTH_GRPC_CLIENT_CA_FILE", "/nowhere/ca.pem"),
            ("AUTH_ISSUER", "http://localhost:8080/"),
            ("AUTH_ISSUER", "localhost"),
            ("AUTH_ISSUER", "http://localhost:8080/a//b"),
            ("AUTH_ISSUER", "http://localhost:8080/a/../b"),
            ("AUTH_ISSUER", "http://localhost:8080/{a}"),
            ("AUTH_ISSUER", "http://localhost:8080/a%2Fb"),
            ("AUTH_PATH_PREFIX", "no"),
            ("AUTH_AUDIENCE", "a,,b"),
            ("AUTH_AUDIENCE", "a,a"),
            ("AUTH_AUDIENCE", "a,b\u{7}c"),
            ("AUTH_DATABASE_URL", "mysql://x"),
            ("AUTH_DATABASE_URL", "postgres://user:password@host/db"),
            ("AUTH_ACCESS_TTL", "0s"),
            ("AUTH_REFRESHED_ACCESS_TTL", "1500ms"),
            ("AUTH_REFRESH_TTL", "soon"),
            ("AUTH_SESSION_TTL", "-1d"),
            ("AUTH_REFRESH_GRACE", "x"),
            ("AUTH_SESSIONS_PER_ACCOUNT", "0"),
            ("AUTH_JWKS_MAX_AGE", "0s"),
            ("AUTH_KEY_MAX_AGE", "90"),
            ("AUTH_REGISTRATION", "yes"),
            ("AUTH_LOGIN_LIMITS", "10"),
            ("AUTH_TOKEN_LIMITS", "address=10/min"),
            ("AUTH_AUDIT_TTL", "0s"),
            ("AUTH_HASH_SLOTS", "0"),
            ("AUTH_HASH_QUEUE", "-1"),
            ("AUTH_TRUSTED_PROXIES", "10.0.0.0/33"),
            ("AUTH_CORS_ORIGINS", "*"),
            ("AUTH_COOKIE_DOMAIN", "com"),
            ("AUTH_GRPC_REFLECTION", "yes"),
            ("AUTH_BOOTSTRAP_FILE", "/nowhere/bootstrap.toml"),
            ("AUTH_LOG", "info=x=y"),
        ] {
            let error = parse(name, value).err().unwrap_or_else(|| panic!("{name}={value} was accepted"));
            assert_eq!(error.name, name, "{error}");
        }
    }
}
