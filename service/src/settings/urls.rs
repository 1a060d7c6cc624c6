//! Settings that are URLs, origins or domains: one reader for each kind, for both services.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use countermark::verify::Issuer;
use url::{Host, Url};

use super::{SettingError, Settings};

/// Whether what is sent to `url` crosses a network in the clear: it is plain HTTP, to another host than this machine.
#[must_use]
pub fn is_in_the_clear(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !is_here
}

/// The text has no place in such a URL: it would be dropped, or read in another way than it is written.
fn is_odd(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\' || !c.is_ascii())
}

/// An absolute HTTP URL that can serve as a base. A user or a password is refused, because it would appear in logs.
fn http_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| !is_odd(text) && !text.contains(['?', '#', '@']))?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// The path of an issuer's URL stands in routes and cookies as it is written.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let mut segments = path.split('/').skip(1);
    segments.all(|segment| !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_plain))
}

impl Settings {
    /// Parses the URL of an issuer. It is compared exactly, in `iss` of every token, so there is one way to write it: without
    /// user, query, fragment, default port or slash at its end, its scheme and host in lower case (RFC 8414 §2).
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or another one. It says how to write the URL.
    pub fn issuer(&self, name: &str) -> Result<Issuer, SettingError> {
        let text = self.text(name)?;
        let Some(url) = http_url(text).filter(|url| url.port() != Some(0)) else {
            let problem = "must be an http or https URL without user, query or fragment; write it like https://auth.example.com";
            return Err(self.refuse_url(name, problem));
        };
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        if !path.is_empty() && !is_plain_path(path) {
            let problem = "has a path that is not plain; write it like https://example.com/id, of letters, digits, `.`, `_`, `~` and `-`";
            return Err(self.refuse_url(name, problem));
        }
        let written = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
        if written != text {
            return Err(self.refuse_url(name, format!("has several spellings; write it as {written}")));
        }
        Ok(Issuer::new(text))
    }

    /// Parses the URL at which a service is found.
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or when it has a user, a query or a fragment, or is no HTTP URL.
    pub fn http_url(&self, name: &str) -> Result<Url, SettingError> {
        let problem = "must be an http or https URL without user, query or fragment; write it like http://auth-service:8080";
        http_url(self.text(name)?).ok_or_else(|| self.refuse_url(name, problem))
    }

    /// Parses the URL of a host: one without a path.
    ///
    /// # Errors
    /// As [`http_url`](Self::http_url), and when there is a path.
    pub fn host_url(&self, name: &str) -> Result<Url, SettingError> {
        let problem =
            "must be a URL of a host, without user or path; write it like http://auth-service:50051";
        http_url(self.text(name)?)
            .filter(|url| url.path() == "/")
            .ok_or_else(|| self.refuse_url(name, problem))
    }

    /// Parses the domain of a cookie, if there is one. A page of `issuer` has to be within it, or browsers refuse the cookie
    /// (RFC 6265 §5.3).
    ///
    /// # Errors
    /// [`SettingError`] when the text is no domain in lower case, or the issuer's host is not within it.
    pub fn cookie_domain(&self, name: &str, issuer: &Issuer) -> Result<Option<String>, SettingError> {
        let Some(domain) = self.optional(name) else { return Ok(None) };
        if !is_domain(domain) {
            return Err(self
                .refuse(name, "is no domain that browsers take; write it like example.com, in lower case"));
        }
        let host = Url::parse(issuer.as_str()).ok().and_then(|url| url.host_str().map(str::to_owned));
        let host = host.unwrap_or_default();
        if host != domain && !host.ends_with(&format!(".{domain}")) {
            let problem =
                format!("does not contain the issuer's host {host}, so browsers would refuse the cookie");
            return Err(self.refuse(name, problem));
        }
        Ok(Some(domain.to_owned()))
    }

    /// Parses the address of a port: an IP address and a port, `localhost:8080`, or `:8080` for all interfaces.
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or another one. It shows an address.
    pub fn address(&self, name: &str) -> Result<SocketAddr, SettingError> {
        let value = self.text(name)?;
        let port = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let of = |ip: [u8; 4], text: &str| Some(SocketAddr::new(IpAddr::from(ip), port(text)?));
        let read = match value.split_once(':') {
            Some(("", rest)) if !rest.starts_with(':') => of([0, 0, 0, 0], rest),
            Some((host, rest)) if host.eq_ignore_ascii_case("localhost") => of([127, 0, 0, 1], rest),
            Some(_) | None => value.parse().ok(),
        };
        read.ok_or_else(|| {
            let example = self.declared(name).ok().and_then(|setting| setting.default);
            let example = example.unwrap_or("127.0.0.1:8080");
            self.wrong(
                name,
                value,
                format!("is no IP address with a port; write it like {example}, localhost:8080 or :8080"),
            )
        })
    }

    /// An error about a URL. The value is left out when it may hold a password.
    fn refuse_url(&self, name: &str, problem: impl Into<String>) -> SettingError {
        match self.optional(name) {
            Some(url) if url.contains('@') => SettingError::new(name, problem),
            Some(_) | None => self.refuse(name, problem),
        }
    }
}

/// A domain of at least two labels that is no IP address.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let last_is_a_name =
        text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').count() >= 2 && text.split('.').all(is_label) && last_is_a_name
}

/// An origin as browsers send it: scheme, host in lower case, and the port unless it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// The text is not an [`Origin`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidOrigin(Option<String>);

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(origin) => write!(f, "is not as browsers send it; write it as {origin}"),
            None => f.write_str(
                "is no origin; write it like https://app.example.com, in lower case, without a path",
            ),
        }
    }
}

impl std::error::Error for InvalidOrigin {}

impl Origin {
    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let url = http_url(text).filter(|url| url.path() == "/" && !text.contains('*'));
        let origin = url.ok_or(InvalidOrigin(None))?.origin().ascii_serialization();
        if origin == text { Ok(Self(origin)) } else { Err(InvalidOrigin(Some(origin))) }
    }
}
