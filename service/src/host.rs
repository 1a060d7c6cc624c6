//! The host that a request is for (RFC 9112 §3.2, RFC 9113 §8.3.1). A request whose host is missing, doubled or malformed is
//! answered 400: programs on its way could each take it for another host's.
//!
//! | request | needs |
//! |---|---|
//! | HTTP/1.0 | at most one `Host`, well-formed |
//! | HTTP/1.1 | one `Host`, well-formed |
//! | HTTP/1.0 and HTTP/1.1 with an absolute target | the same; the target's own authority, well-formed, is the host |
//! | HTTP/2 | `:authority` or one `Host`, well-formed; both only when they name the same host |

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::Ipv6Addr,
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    http::{self, Method, Version, header::HOST},
    response::{IntoResponse as _, Response},
};
use futures_util::future::Either;
use tower::{Layer, Service};

use countermark::http::ErrorAnswer;

/// What is wrong with the host of a request. `Display` is one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none.
    #[error("The Host header is missing")]
    Missing,
    /// There is more than one line.
    #[error("There is more than one Host header")]
    Doubled,
    /// `Host` is no host with an optional port.
    #[error("The Host header is malformed")]
    Malformed,
    /// The authority of the request target is no host with an optional port.
    #[error("The host of the request target is malformed")]
    MalformedTarget,
    /// `Host` names another host than `:authority`.
    #[error("The Host header names another host than the request target")]
    Different,
}

impl From<HostError> for ErrorAnswer {
    fn from(error: HostError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

/// Checks the host of a request.
///
/// # Errors
/// [`HostError`] when the request must be answered 400.
pub fn check<B>(request: &http::Request<B>) -> Result<(), HostError> {
    let mut lines = request.headers().get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(HostError::Doubled);
    }
    let host = line.map(|line| Host::parse(line.as_bytes()).ok_or(HostError::Malformed)).transpose()?;
    let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let target = target.map(|target| Host::parse(target).ok_or(HostError::MalformedTarget)).transpose()?;
    match (request.version(), host, target) {
        (Version::HTTP_09 | Version::HTTP_10, _, _) | (Version::HTTP_11, Some(_), _) => Ok(()),
        (Version::HTTP_11, None, _) | (_, None, None) => Err(HostError::Missing),
        // A CONNECT has no scheme, and its port is not one that could be left out.
        (_, Some(host), Some(target)) => {
            let is_connect = *request.method() == Method::CONNECT;
            let scheme = request.uri().scheme_str().filter(|_| !is_connect);
            if host.is(&target, scheme) { Ok(()) } else { Err(HostError::Different) }
        }
        (_, Some(_), None) | (_, None, Some(_)) => Ok(()),
    }
}

/// A host and its port, as they are written.
struct Host<'t> {
    name: &'t [u8],
    port: Option<u16>,
}

impl<'t> Host<'t> {
    /// `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2). The host must not be empty, because no http URI has an empty one
    /// (RFC 9110 §4.2.1). The port may be. A user is refused (RFC 9110 §4.2.4).
    fn parse(text: &'t [u8]) -> Option<Self> {
        let length = match text.first()? {
            b'[' => text.iter().position(|&byte| byte == b']')? + 1,
            _ => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
        };
        let (name, rest) = text.split_at(length);
        let port = match rest {
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return None,
        };
        (is_literal(name) || is_name(name)).then_some(Self { name, port })
    }

    /// `true` when both name the same host and port. The port that a scheme has anyway may be left out.
    fn is(&self, other: &Self, scheme: Option<&str>) -> bool {
        let usual = match scheme {
            Some("http") => Some(80),
            Some("https") => Some(443),
            Some(_) | None => None,
        };
        self.name.eq_ignore_ascii_case(other.name) && self.port.or(usual) == other.port.or(usual)
    }
}

/// Digits, with leading zeros or without, up to 65535.
fn port(digits: &[u8]) -> Option<u16> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// `[`, an IPv6 address or an address of a future version, `]`.
fn is_literal(text: &[u8]) -> bool {
    let Some(address) = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")) else {
        return false;
    };
    if let [b'v' | b'V', future @ ..] = address {
        let mut parts = future.splitn(2, |&byte| byte == b'.');
        let (version, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !rest.is_empty()
            && rest.iter().all(|&byte| byte == b':' || is_plain(byte));
    }
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// A registered name or an IPv4 address, not empty.
fn is_name(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return !text.is_empty(),
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if is_plain(*byte) => rest,
            _ => return false,
        };
    }
}

/// `unreserved / sub-delims` (RFC 3986 §2).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Answers requests with a bad host, for a router without [`layers`](super::http::layers), which do it too.
#[derive(Clone, Copy, Debug)]
pub struct CheckHost;

impl<S> Layer<S> for CheckHost {
    type Service = Checked<S>;

    fn layer(&self, inner: S) -> Checked<S> {
        Checked(inner)
    }
}

/// A service behind [`CheckHost`].
#[derive(Clone, Debug)]
pub struct Checked<S>(S);

impl<S> Service<Request> for Checked<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match check(&request) {
            Ok(()) => Either::Left(self.0.call(request)),
            Err(error) => Either::Right(ready(Ok(ErrorAnswer::from(error).into_response()))),
        }
    }
}

#[cfg(test)]
mod tests;
