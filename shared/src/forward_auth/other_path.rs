//! Another path than the request's own, named in a header: `X-Original-URL`, `X-Rewrite-URL`. Some frameworks route by these
//! headers (CVE-2018-14773). A proxy that sends one names the request's own path in it.

use axum::http::HeaderMap;

use super::alias::folded;

/// The headers, folded.
const HEADERS: [&str; 2] = ["x_original_url", "x_rewrite_url"];

/// Whether a header names another path than that of `target`.
pub(super) fn is_named(headers: &HeaderMap, target: &str) -> bool {
    let mut named = headers.iter().filter(|(name, _)| HEADERS.contains(&folded(name.as_str()).as_str()));
    named.any(|(_, value)| without_origin(value.as_bytes().trim_ascii()) != target.as_bytes())
}

/// Path and query of a URL.
fn without_origin(url: &[u8]) -> &[u8] {
    let Some(start) = url.windows(3).position(|window| window == b"://") else { return url };
    let behind = &url[start + 3..];
    behind.iter().position(|&byte| byte == b'/').map_or(b"/", |at| &behind[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_name_the_path_of_the_request_and_no_other() {
        let is_named = |name: &'static str, value: &str| {
            is_named(
                &[(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect(),
                "/public/x?a=1",
            )
        };
        for name in [
            "x-original-url",
            "X-Original-URL",
            "x_original_url",
            "X.Original.Url",
            "x-rewrite-url",
            "X_Rewrite-URL",
        ] {
            for own in [
                "/public/x?a=1",
                " /public/x?a=1 ",
                "https://app.example.com/public/x?a=1",
                "http://h:80/public/x?a=1",
            ] {
                assert!(!is_named(name, own), "{name}: {own}");
            }
            for other in [
                "/admin",
                "/public/x",
                "/public/x?a=2",
                "https://h/admin",
                "https://h",
                "admin",
                "",
                "\u{e9}",
            ] {
                assert!(is_named(name, other), "{name}: {other}");
            }
        }
        assert!(!is_named("x-original-host", "/admin"));
    }
}
