//! All settings of this service. They are parsed and checked before a port is bound.

pub mod bootstrap;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, thread, time::Duration};

use countermark::verify::{Audience, Issuer};
use countermark_service::{
    address::TrustedProxies,
    database::DatabasePath,
    http::CorsOrigin,
    settings::{Setting, SettingError, Settings},
    telemetry::Filter,
    tls::{Names, TlsFiles},
};
use url::Url;

use crate::domain::{login_limits::LoginLimits, session::Lifetimes};
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
    Setting::new("AUTH_AUDIENCE", "resource-service", "Audiences of a login's tokens, a comma list"),
    // The URL of a database server may contain a password.
    Setting::new("AUTH_DATABASE_URL", "sqlite://data/auth.db", "The database; created when absent").secret(),
    Setting::new(
        "AUTH_MASTER_KEY_FILE",
        "data/master.key",
        "File of the key that encrypts all other keys; created when absent",
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
    Setting::new("AUTH_JWKS_MAX_AGE", "5m", "How long verifiers may cache the key set"),
    Setting::new("AUTH_KEY_MAX_AGE", "90d", "Age at which a signing key is replaced"),
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
    Setting::optional("AUTH_CONFIG_FILE", "TOML file of these settings"),
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
    /// The path of the master key.
    pub master_key_file: PathBuf,
    /// The settings of the operations.
    pub policy: Policy,
    /// The proxies whose `X-Forwarded-For` header is trusted.
    pub trusted_proxies: TrustedProxies,
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
    /// The policy for registration.
    pub registration: Registration,
    /// The time for which verifiers may cache the key set.
    pub jwks_max_age: Duration,
    /// The age at which a signing key is replaced.
    pub key_max_age: Duration,
    /// The limits on login attempts.
    pub login_limits: LoginLimits,
    /// The time for which audit entries are kept.
    pub audit_ttl: Duration,
    /// The number of passwords that are hashed at once.
    pub hash_slots: usize,
    /// The number of passwords that may wait to be hashed.
    pub hash_queue: usize,
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
            database: database(settings)?,
            master_key_file: settings.text("AUTH_MASTER_KEY_FILE")?.into(),
            policy: policy(settings)?,
            trusted_proxies: TrustedProxies::new(settings.parse_list("AUTH_TRUSTED_PROXIES")?),
            cors_origins: settings.parse_list("AUTH_CORS_ORIGINS")?,
            cookie_domain: cookie_domain(settings)?,
            grpc_reflection: settings.flag("AUTH_GRPC_REFLECTION")?,
            bootstrap: Bootstrap::read(settings)?,
        })
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

fn policy(settings: &Settings) -> Result<Policy, SettingError> {
    let lifetimes = Lifetimes {
        idle: lifetime(settings, "AUTH_REFRESH_TTL")?,
        absolute: lifetime(settings, "AUTH_SESSION_TTL")?,
        grace: settings.duration("AUTH_REFRESH_GRACE")?,
    };
    Ok(Policy {
        issuer: issuer(settings)?,
        audiences: audiences(settings)?,
        access_ttl: lifetime(settings, "AUTH_ACCESS_TTL")?,
        refreshed_access_ttl: lifetime(settings, "AUTH_REFRESHED_ACCESS_TTL")?,
        lifetimes,
        registration: settings.parse("AUTH_REGISTRATION")?,
        jwks_max_age: lifetime(settings, "AUTH_JWKS_MAX_AGE")?,
        key_max_age: lifetime(settings, "AUTH_KEY_MAX_AGE")?,
        login_limits: settings.parse("AUTH_LOGIN_LIMITS")?,
        audit_ttl: lifetime(settings, "AUTH_AUDIT_TTL")?,
        hash_slots: hash_slots(settings)?,
        hash_queue: settings.number("AUTH_HASH_QUEUE")?,
    })
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

fn issuer(settings: &Settings) -> Result<Issuer, SettingError> {
    let text = settings.text("AUTH_ISSUER")?;
    let legal = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if legal && !text.ends_with('/') {
        Ok(Issuer::new(text))
    } else {
        // RFC 8414 §2. With a slash at its end the issuer would have two spellings, and verifiers would refuse its
        // tokens.
        Err(settings.refuse(
            "AUTH_ISSUER",
            "must be an http or https URL without query, fragment or slash at its end",
        ))
    }
}

fn audiences(settings: &Settings) -> Result<Vec<Audience>, SettingError> {
    let audiences: Vec<_> = settings.list("AUTH_AUDIENCE")?.into_iter().map(Audience::new).collect();
    let is_unique = |audience: &Audience| audiences.iter().filter(|&other| other == audience).count() == 1;
    if !audiences.is_empty()
        && audiences.iter().all(|audience| audience.as_str().len() <= 255 && is_unique(audience))
    {
        Ok(audiences)
    } else {
        Err(settings
            .refuse("AUTH_AUDIENCE", "must name at least one audience, each once, in at most 255 bytes"))
    }
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

fn cookie_domain(settings: &Settings) -> Result<Option<String>, SettingError> {
    let name = "AUTH_COOKIE_DOMAIN";
    let Some(domain) = settings.optional(name) else { return Ok(None) };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if domain.split('.').count() >= 2 && domain.split('.').all(is_label) {
        Ok(Some(domain.to_owned()))
    } else {
        Err(settings.refuse(name, "must be a domain like example.com, in lower case"))
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
            ("AUTH_HTTP_CLIENT_CA_FILE", "/nowhere/ca.pem"),
            ("AUTH_GRPC_CLIENT_CA_FILE", "/nowhere/ca.pem"),
            ("AUTH_ISSUER", "http://localhost:8080/"),
            ("AUTH_ISSUER", "localhost"),
            ("AUTH_AUDIENCE", "a,,b"),
            ("AUTH_AUDIENCE", "a,a"),
            ("AUTH_DATABASE_URL", "mysql://x"),
            ("AUTH_DATABASE_URL", "postgres://user:password@host/db"),
            ("AUTH_ACCESS_TTL", "0s"),
            ("AUTH_REFRESHED_ACCESS_TTL", "1500ms"),
            ("AUTH_REFRESH_TTL", "soon"),
            ("AUTH_SESSION_TTL", "-1d"),
            ("AUTH_REFRESH_GRACE", "x"),
            ("AUTH_JWKS_MAX_AGE", "0s"),
            ("AUTH_KEY_MAX_AGE", "90"),
            ("AUTH_REGISTRATION", "yes"),
            ("AUTH_LOGIN_LIMITS", "10"),
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
