//! The handshake of a `WebSocket` by cookie. A browser sends cookies with the handshake whichever page opens the socket, does not ask the service
//! first (CORS), and lets the page read what comes. It names the origin of the page (RFC 6455 §10.2), which no page can change.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    request::Parts,
};

/// The host that a client asked a proxy for. No page can set this header in a handshake.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether the request opens a WebSocket (RFC 6455 §4.1, RFC 8441 §4). Proxies keep `Upgrade` to themselves when they ask about
/// a request, so one of the other headers is enough. A request of another method opens none.
pub(super) fn is_handshake(parts: &Parts) -> bool {
    let headers = &parts.headers;
    matches!(parts.method, Method::GET | Method::CONNECT)
        && (headers.contains_key(SEC_WEBSOCKET_KEY)
            || headers.contains_key(SEC_WEBSOCKET_VERSION)
            || members(headers, UPGRADE).any(|member| member.eq_ignore_ascii_case(b"websocket")))
}

/// Whether the page that opens the socket is one of the host that it asks, or of an origin in `allowed`.
pub(super) fn is_of_own_page(parts: &Parts, allowed: &[Box<str>]) -> bool {
    let mut origins = parts.headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|allowed| **allowed == *origin) {
        return true;
    }
    let (authority, port) = match origin.split_once("://") {
        Some(("https", authority)) => (authority, ":443"),
        Some(("http", authority)) => (authority, ":80"),
        Some(_) | None => return false,
    };
    let is_own = |host: &[u8]| {
        let host = host.strip_suffix(port.as_bytes()).unwrap_or(host);
        !host.is_empty() && host.eq_ignore_ascii_case(authority.as_bytes())
    };
    parts.uri.authority().is_some_and(|authority| is_own(authority.as_str().as_bytes()))
        || [HOST, FORWARDED_HOST].into_iter().any(|name| members(&parts.headers, name).any(is_own))
}

/// The members of a comma list, in all lines of the header.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(method: Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_handshake_is_known_by_any_of_its_headers() {
        for header in [
            ("upgrade", "websocket"),
            ("upgrade", "WebSocket"),
            ("upgrade", "h2c, websocket"),
            ("sec-websocket-key", "x"),
            ("sec-websocket-version", "13"),
        ] {
            assert!(is_handshake(&parts(Method::GET, "/", &[header])), "{header:?}");
            assert!(is_handshake(&parts(Method::CONNECT, "/", &[header])), "{header:?}");
            assert!(!is_handshake(&parts(Method::POST, "/", &[header])), "{header:?}");
        }
        assert!(!is_handshake(&parts(Method::GET, "/", &[("upgrade", "h2c"), ("origin", "https://a")])));
    }

    #[test]
    fn a_page_is_own_when_its_origin_is_the_host_that_it_asks() {
        let allowed = ["https://www.example.com".into(), "http://localhost:3000".into()];
        let own =
            |uri: &str, headers: &[(&str, &str)]| is_of_own_page(&parts(Method::GET, uri, headers), &allowed);
        for (origin, host) in [
            ("https://app.example.com", "app.example.com"),
            ("https://app.example.com", "APP.example.com"),
            ("https://app.example.com", "app.example.com:443"),
            ("http://app.example.com", "app.example.com:80"),
            ("https://app.example.com:8443", "app.example.com:8443"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://127.0.0.1:8081", "127.0.0.1:8081"),
            ("https://www.example.com", "app.example.com"),
            ("http://localhost:3000", "app.example.com"),
        ] {
            assert!(own("/", &[("origin", origin), ("host", host)]), "{origin} at {host}");
            let proxied = [("origin", origin), ("host", "10.0.0.1:8081"), ("x-forwarded-host", host)];
            assert!(own("/", &proxied), "{origin} at {host}, proxied");
        }
        assert!(own("https://app.example.com/", &[("origin", "https://app.example.com")]));
        for (origin, host) in [
            ("https://evil.example.com", "app.example.com"),
            ("https://app.example.com.evil.com", "app.example.com"),
            ("https://example.com", "app.example.com"),
            ("https://app.example.com:8443", "app.example.com"),
            ("https://app.example.com", "app.example.com:8443"),
            ("https://app.example.com", "app.example.com:80"),
            ("http://app.example.com", "app.example.com:443"),
            ("https://app.example.com/", "app.example.com"),
            ("https://app.example.com@evil.com", "app.example.com"),
            ("ftp://app.example.com", "app.example.com"),
            ("app.example.com", "app.example.com"),
            ("https://", ""),
            ("https://", "app.example.com"),
            ("null", "null"),
            ("", ""),
            ("https://WWW.example.com", "app.example.com"),
        ] {
            assert!(!own("/", &[("origin", origin), ("host", host)]), "{origin} at {host}");
        }
        assert!(!own("/", &[("host", "app.example.com")]));
        let two = [
            ("origin", "https://a.example.com"),
            ("origin", "https://a.example.com"),
            ("host", "a.example.com"),
        ];
        assert!(!own("/", &two));
    }
}
