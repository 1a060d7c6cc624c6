//! Every setting of this service, parsed and checked before anything is bound.

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

/// Every setting, as `--help` lists them.
pub const SETTINGS: &[Setting] = &[
    Setting::new("AUTH_HTTP_ADDR", "127.0.0.1:8080", "Address of the HTTP port"),
    Setting::new("AUTH_GRPC_ADDR", "127.0.0.1:50051", "Address of the gRPC port"),
    Setting::new("AUTH_OPS_ADDR", "127.0.0.1:9080", "Address of the operations port: health and metrics"),
    Setting::optional(
        "AUTH_TLS_CERT_FILE",
        "Certificate of the HTTP and the gRPC port, with its chain, in PEM; read anew when it changes [default: none, in the clear]",
    ),
    Setting::optional(
        "AUTH_TLS_KEY_FILE",
        "That certificate's key in PEM, readable to the owner and at most the group",
    ),
    Setting::optional(
        "AUTH_HTTP_CLIENT_CA_FILE",
        "Whose certificates a client of the HTTP port must show, in PEM [default: none need be shown]",
    ),
    Setting::optional(
        "AUTH_GRPC_CLIENT_CA_FILE",
        "Whose certificates a client of the gRPC port must show, in PEM [default: none need be shown]",
    ),
    Setting::new(
        "AUTH_ISSUER",
        "http://localhost:8080",
        "The issuer's URL: `iss` of every token, compared exactly",
    ),
    Setting::new("AUTH_AUDIENCE", "resource-service", "Whom a login's tokens are for, a comma list"),
    // A URL of a database server would have a password in it.
    Setting::new("AUTH_DATABASE_URL", "sqlite://data/auth.db", "The database, made when absent").secret(),
    Setting::new(
        "AUTH_MASTER_KEY_FILE",
        "data/master.key",
        "The key that all others are sealed with, made when absent",
    ),
    Setting::new("AUTH_ACCESS_TTL", "15m", "Lifetime of an access token from a login"),
    Setting::new("AUTH_REFRESHED_ACCESS_TTL", "5m", "Lifetime of an access token from a refresh"),
    Setting::new("AUTH_REFRESH_TTL", "30d", "A session that is not refreshed for so long is over"),
    Setting::new(
        "AUTH_SESSION_TTL",
        "90d",
        "A session is over so long after its login, whatever is done in it",
    ),
    Setting::new(
        "AUTH_REFRESH_GRACE",
        "10s",
        "How long a spent refresh token returns the same successor again",
    ),
    Setting::new("AUTH_JWKS_MAX_AGE", "5m", "How long verifiers may keep the key set before they ask again"),
    Setting::new("AUTH_KEY_MAX_AGE", "90d", "Age at which a signing key is replaced"),
    Setting::new("AUTH_REGISTRATION", "closed", "Who may make an account: closed, open or invite"),
    Setting::new(
        "AUTH_LOGIN_LIMITS",
        "account=10/min,address=100/min,global=off",
        "How often logins may be tried; `off` switches all limits off",
    ),
    Setting::optional("AUTH_HASH_SLOTS", "Passwords hashed at once [default: cores − 1, at least 1]"),
    Setting::new(
        "AUTH_HASH_QUEUE",
        "32",
        "Passwords waiting to be hashed, past which a login is answered 503",
    ),
    Setting::optional(
        "AUTH_TRUSTED_PROXIES",
        "Networks whose X-Forwarded-For is believed, a comma list of CIDRs",
    ),
    Setting::optional("AUTH_CORS_ORIGINS", "Origins whose pages may call from a browser, a comma list"),
    Setting::optional(
        "AUTH_COOKIE_DOMAIN",
        "Domain of the access cookie; without it the cookie is the host's own",
    ),
    Setting::new("AUTH_GRPC_REFLECTION", "false", "Whether the gRPC port describes itself"),
    Setting::optional(
        "AUTH_BOOTSTRAP_FILE",
        "TOML file of audiences, clients and accounts, applied at each start",
    ),
    Setting::new("AUTH_AUDIT_TTL", "365d", "How long audit entries are kept"),
    Setting::new("AUTH_LOG", "info", "What is logged: error, warn, info, debug, trace, or a filter"),
    Setting::optional("AUTH_CONFIG_FILE", "TOML file of these settings"),
];

/// The settings, parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the HTTP port is bound.
    pub http_addr: SocketAddr,
    /// Where the gRPC port is bound.
    pub grpc_addr: SocketAddr,
    /// Where the operations port is bound.
    pub ops_addr: SocketAddr,
    /// The certificate of the HTTP port; without it the port is in the clear.
    pub http_tls: Option<TlsFiles>,
    /// The same of the gRPC port.
    pub grpc_tls: Option<TlsFiles>,
    /// Where the database is.
    pub database: DatabasePath,
    /// Where the master key is.
    pub master_key_file: PathBuf,
    /// What the hall goes by.
    pub policy: Policy,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whose pages may call from a browser.
    pub cors_origins: Vec<CorsOrigin>,
    /// Domain of the access cookie.
    pub cookie_domain: Option<String>,
    /// Whether the gRPC port describes itself.
    pub grpc_reflection: bool,
    /// What the database is made to hold at each start.
    pub bootstrap: Bootstrap,
}

/// What the hall goes by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `iss` of every token.
    pub issuer: Issuer,
    /// Whom a login's tokens are for.
    pub audiences: Vec<Audience>,
    /// Lifetime of an access token from a login.
    pub access_ttl: Duration,
    /// Lifetime of an access token from a refresh.
    pub refreshed_access_ttl: Duration,
    /// How long sessions last.
    pub lifetimes: Lifetimes,
    /// Who may make an account.
    pub registration: Registration,
    /// How long verifiers may keep the key set.
    pub jwks_max_age: Duration,
    /// Age at which a signing key is replaced.
    pub key_max_age: Duration,
    /// How often logins may be tried.
    pub login_limits: LoginLimits,
    /// How long audit entries are kept.
    pub audit_ttl: Duration,
    /// Passwords hashed at once.
    pub hash_slots: usize,
    /// Passwords waiting to be hashed.
    pub hash_queue: usize,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Operators alone.
    Closed,
    /// Everybody.
    Open,
    /// Whoever holds an invitation.
    Invite,
}

/// No registration policy has that name.
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
    /// Parses and checks every setting. Nothing is touched but the bootstrap file and those of certificates, which are
    /// read.
    ///
    /// # Errors
    /// [`SettingError`] names the first setting that can't be used, and says why.
    pub fn parse(settings: &Settings) -> Result<Self, SettingError> {
        // Read where logging begins; checked here with the rest.
        settings.parse::<Filter>("AUTH_LOG")?;
        Ok(Self {
            http_addr: settings.parse("AUTH_HTTP_ADDR")?,
            grpc_addr: settings.parse("AUTH_GRPC_ADDR")?,
            ops_addr: settings.parse("AUTH_OPS_ADDR")?,
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
        hash_queue: settings.parse("AUTH_HASH_QUEUE")?,
    })
}

/// A span of whole seconds, for they stand in tokens, and not so long that dates run over.
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
        // RFC 8414 §2. A slash at the end makes two spellings of one issuer, and tokens that nobody accepts.
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
    match settings.parse_optional::<usize>("AUTH_HASH_SLOTS")? {
        Some(slots @ 1..=256) => Ok(slots),
        Some(_) => Err(settings.refuse("AUTH_HASH_SLOTS", "must be from 1 to 256")),
        // One core is left for everything else.
        None => Ok(thread::available_parallelism().map_or(1, NonZeroUsize::get).saturating_sub(1).max(1)),
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
