//! Every setting of this service, parsed and checked before anything is bound.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

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

/// Every setting, as `--help` lists them.
pub const SETTINGS: &[Setting] = &[
    Setting::new("RESOURCE_HTTP_ADDR", "127.0.0.1:8081", "Address of the HTTP port"),
    Setting::new("RESOURCE_OPS_ADDR", "127.0.0.1:9081", "Address of the operations port: health and metrics"),
    Setting::optional(
        "RESOURCE_TLS_CERT_FILE",
        "Certificate of the HTTP port, with its chain, in PEM; read anew when it changes [default: none, in the clear]",
    ),
    Setting::optional(
        "RESOURCE_TLS_KEY_FILE",
        "That certificate's key in PEM, readable to the owner and at most the group",
    ),
    Setting::optional(
        "RESOURCE_HTTP_CLIENT_CA_FILE",
        "Whose certificates a client of the HTTP port must show, in PEM [default: none need be shown]",
    ),
    Setting::new(
        "RESOURCE_ISSUER",
        "http://localhost:8080",
        "Whose tokens are believed: `iss`, compared exactly",
    ),
    Setting::new("RESOURCE_AUDIENCE", "resource-service", "For whom tokens have to be: `aud`"),
    Setting::optional("RESOURCE_AUTH_URL", "Where the issuer's keys are fetched [default: the issuer]"),
    Setting::optional(
        "RESOURCE_AUTH_GRPC",
        "URL of the issuer's gRPC port, for revocations as they happen [default: none, keys are polled]",
    ),
    Setting::optional(
        "RESOURCE_AUTH_CA_FILE",
        "Whose certificates the issuer's ports show, in PEM [default: the system's roots]",
    ),
    Setting::optional(
        "RESOURCE_CLIENT_CERT_FILE",
        "Certificate that this service shows to the issuer's ports, with its chain, in PEM [default: none]",
    ),
    Setting::optional(
        "RESOURCE_CLIENT_KEY_FILE",
        "That certificate's key in PEM, readable to the owner and at most the group",
    ),
    Setting::optional("RESOURCE_CLIENT_ID", "This service's client id at the issuer's gRPC port"),
    Setting::optional("RESOURCE_CLIENT_SECRET", "That client's secret").secret(),
    Setting::new("RESOURCE_DATABASE_URL", "sqlite://data/resource.db", "The database, made when absent"),
    Setting::new("RESOURCE_LEEWAY", "0s", "By how much clocks may differ, at `exp` and `nbf`"),
    Setting::new(
        "RESOURCE_TOKEN_LOCATIONS",
        "header",
        "Where a token may be, in the order to try: header, cookie, query, json, form",
    ),
    Setting::new("RESOURCE_JWKS_COOLDOWN", "10s", "The least time between two fetches of the keys"),
    Setting::new("RESOURCE_JWKS_TIMEOUT", "3s", "How long a fetch of the keys may take"),
    Setting::new(
        "RESOURCE_STALE_AFTER",
        "5s",
        "After how long without word from the issuer revocations may be missing",
    ),
    Setting::new("RESOURCE_STALE_POLICY", "allow", "What happens to tokens then: allow, introspect or deny"),
    Setting::new(
        "RESOURCE_BUNDLE_FILE",
        "data/verifier.bundle",
        "Where keys and revocations outlive a restart",
    ),
    Setting::new("RESOURCE_BUNDLE_TTL", "24h", "How old that file may be to be used"),
    Setting::optional(
        "RESOURCE_TRUSTED_PROXIES",
        "Proxies whose word on the client's address, and at /auth on its request, is believed: a comma list of CIDRs",
    ),
    Setting::optional("RESOURCE_CORS_ORIGINS", "Origins whose pages may call from a browser, a comma list"),
    Setting::optional(
        "RESOURCE_FORWARD_AUTH_RULES",
        "TOML file of rules by which proxies are answered, at /auth and as Envoy's ext_authz [default: off]",
    ),
    Setting::new("RESOURCE_LOG", "info", "What is logged: error, warn, info, debug, trace, or a filter"),
    Setting::optional("RESOURCE_CONFIG_FILE", "TOML file of these settings"),
];

/// The settings that name the HTTP port's files.
const TLS: Names = Names {
    certificate: "RESOURCE_TLS_CERT_FILE",
    key: "RESOURCE_TLS_KEY_FILE",
    client_ca: "RESOURCE_HTTP_CLIENT_CA_FILE",
};

/// The settings that name what the issuer's ports show, and are shown.
const AUTH_TLS: Names = Names {
    certificate: "RESOURCE_CLIENT_CERT_FILE",
    key: "RESOURCE_CLIENT_KEY_FILE",
    client_ca: "RESOURCE_AUTH_CA_FILE",
};

/// The settings, parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the HTTP port is bound.
    pub http_addr: SocketAddr,
    /// Where the operations port is bound.
    pub ops_addr: SocketAddr,
    /// The certificate of the HTTP port; without it the port is in the clear.
    pub http_tls: Option<TlsFiles>,
    /// Whose tokens are believed.
    pub issuer: Issuer,
    /// For whom tokens have to be; also the realm of challenges.
    pub audience: Audience,
    /// Below which URL the issuer's keys are: its own, or the one at which this service reaches it.
    pub auth_url: Url,
    /// The issuer's gRPC port; without it keys are polled, and revocations not known.
    pub auth_grpc: Option<Url>,
    /// What the issuer's ports show, and are shown.
    pub auth_tls: ClientTls,
    /// Who this service is at that port.
    pub client: Option<Client>,
    /// Where the database is.
    pub database: DatabasePath,
    /// By how much `exp` and `nbf` may be off.
    pub leeway: Duration,
    /// Where a token may be, in the order to try.
    pub token_locations: Vec<Location>,
    /// The least time between two fetches of the keys.
    pub jwks_cooldown: Duration,
    /// How long a fetch of the keys may take.
    pub jwks_timeout: Duration,
    /// After how long without word from the issuer this verifier is stale.
    pub stale_after: Duration,
    /// What happens to tokens then.
    pub stale_policy: StalePolicy,
    /// Where keys and revocations outlive a restart.
    pub bundle_file: PathBuf,
    /// How old that file may be to be used.
    pub bundle_ttl: Duration,
    /// By which rules proxies are answered, if they are.
    pub forward_auth: Option<Rules>,
    /// Whose word on the client's address and on its request is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whose pages may call from a browser.
    pub cors_origins: Vec<CorsOrigin>,
}

/// Who this service is at the issuer's gRPC port.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its client id.
    pub id: Opaque,
    /// Its secret.
    pub secret: ClientSecret,
}

/// A client secret. It appears in no output, and its memory is wiped when it goes.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// The secret itself.
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
    /// Parses and checks every setting but the log's. Nothing is touched but the files of certificates, which are read.
    ///
    /// # Errors
    /// [`SettingError`] names the first setting that can't be used, and says why.
    pub fn parse(settings: &Settings) -> Result<Self, SettingError> {
        const DAY: Duration = Duration::from_hours(24);
        Ok(Self {
            http_addr: settings.parse("RESOURCE_HTTP_ADDR")?,
            ops_addr: settings.parse("RESOURCE_OPS_ADDR")?,
            http_tls: TlsFiles::read(settings, TLS)?,
            issuer: issuer(settings)?,
            audience: audience(settings)?,
            auth_url: auth_url(settings)?,
            auth_grpc: auth_grpc(settings)?,
            auth_tls: ClientTls::read(settings, AUTH_TLS)?,
            client: client(settings)?,
            database: settings.parse("RESOURCE_DATABASE_URL")?,
            leeway: span(settings, "RESOURCE_LEEWAY", Duration::ZERO, Duration::from_mins(10))?,
            token_locations: token_locations(settings)?,
            jwks_cooldown: span(settings, "RESOURCE_JWKS_COOLDOWN", Duration::ZERO, DAY)?,
            jwks_timeout: span(settings, "RESOURCE_JWKS_TIMEOUT", INSTANT, Duration::from_secs(30))?,
            stale_after: span(settings, "RESOURCE_STALE_AFTER", INSTANT, DAY)?,
            stale_policy: stale_policy(settings)?,
            bundle_file: settings.text("RESOURCE_BUNDLE_FILE")?.into(),
            bundle_ttl: span(settings, "RESOURCE_BUNDLE_TTL", INSTANT, DAY * 365)?,
            forward_auth: forward_auth(settings)?,
            trusted_proxies: TrustedProxies::new(settings.parse_list("RESOURCE_TRUSTED_PROXIES")?),
            cors_origins: settings.parse_list("RESOURCE_CORS_ORIGINS")?,
        })
    }
}

/// What is logged. Apart from [`Config`], because the log is the process's, and a process may hold several services.
///
/// # Errors
/// [`SettingError`] when `RESOURCE_LOG` is no filter.
pub fn log(settings: &Settings) -> Result<Filter, SettingError> {
    settings.parse("RESOURCE_LOG")
}

/// The shortest span of what can't be switched off by a zero.
const INSTANT: Duration = Duration::from_millis(1);

fn span(settings: &Settings, name: &str, least: Duration, most: Duration) -> Result<Duration, SettingError> {
    let span = settings.duration(name)?;
    if (least..=most).contains(&span) {
        return Ok(span);
    }
    let [least, most] = [least, most].map(humantime::format_duration);
    Err(settings.refuse(name, format!("must be from {least} to {most}")))
}

/// An absolute HTTP URL without anything that a base can't have. A user or a password in it would end up in the log.
fn http_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// The error without the value where that may hold a password.
fn refuse_url(settings: &Settings, name: &str, problem: &str) -> SettingError {
    match settings.optional(name) {
        Some(url) if url.contains('@') => SettingError::new(name, problem),
        Some(_) | None => settings.refuse(name, problem),
    }
}

fn issuer(settings: &Settings) -> Result<Issuer, SettingError> {
    let text = settings.text("RESOURCE_ISSUER")?;
    if http_url(text).is_some() && !text.ends_with('/') {
        return Ok(Issuer::new(text));
    }
    // The issuer has the same rule: a slash at the end makes two spellings of it, and tokens that nobody accepts.
    let problem = "must be an http or https URL without user, query, fragment or slash at its end";
    Err(refuse_url(settings, "RESOURCE_ISSUER", problem))
}

fn audience(settings: &Settings) -> Result<Audience, SettingError> {
    let text = settings.text("RESOURCE_AUDIENCE")?;
    if text.len() <= 255 && text.trim() == text && !text.contains(|c: char| c == ',' || c.is_control()) {
        return Ok(Audience::new(text));
    }
    let problem =
        "must be one audience: at most 255 bytes, without commas, control characters or outer blanks";
    Err(settings.refuse("RESOURCE_AUDIENCE", problem))
}

fn auth_url(settings: &Settings) -> Result<Url, SettingError> {
    let name = match settings.optional("RESOURCE_AUTH_URL") {
        Some(_) => "RESOURCE_AUTH_URL",
        None => "RESOURCE_ISSUER",
    };
    http_url(settings.text(name)?).ok_or_else(|| {
        refuse_url(settings, name, "must be an http or https URL without user, query or fragment")
    })
}

fn auth_grpc(settings: &Settings) -> Result<Option<Url>, SettingError> {
    let name = "RESOURCE_AUTH_GRPC";
    let Some(text) = settings.optional(name) else { return Ok(None) };
    let Some(url) = http_url(text).filter(|url| url.path() == "/") else {
        return Err(refuse_url(
            settings,
            name,
            "must be a URL like http://auth-service:50051, without a path",
        ));
    };
    if settings.optional("RESOURCE_CLIENT_ID").is_none() {
        let problem = "is not set, but RESOURCE_AUTH_GRPC is: the issuer tells of revocations whom it knows";
        return Err(SettingError::new("RESOURCE_CLIENT_ID", problem));
    }
    Ok(Some(url))
}

fn stale_policy(settings: &Settings) -> Result<StalePolicy, SettingError> {
    let name = "RESOURCE_STALE_POLICY";
    let policy = settings.parse(name)?;
    if policy != StalePolicy::Allow && settings.optional("RESOURCE_AUTH_GRPC").is_none() {
        // Without the stream it could not be kept, and whoever set it relies on it.
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

fn forward_auth(settings: &Settings) -> Result<Option<Rules>, SettingError> {
    let name = "RESOURCE_FORWARD_AUTH_RULES";
    let Some(text) = settings.file(name)? else { return Ok(None) };
    Rules::from_toml(&text)
        .map(Some)
        .map_err(|error| settings.refuse(name, format!("holds no rules: {error}")))
}

#[cfg(test)]
mod tests;
