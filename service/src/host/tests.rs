use axum::http::HeaderValue;

use super::*;

fn checked(version: Version, target: &str, hosts: &[&[u8]]) -> Result<(), HostError> {
    let mut request = http::Request::builder().version(version).uri(target).body(()).unwrap();
    for host in hosts {
        request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
    }
    check(&request)
}

#[test]
fn a_host_is_a_name_or_an_address_with_an_optional_port() {
    const MANY: &[&[u8]] = &[
        b"localhost",
        b"LOCALHOST:8080",
        b"auth.example.com.",
        b"a_b.example",
        b"xn--bcher-kva.example",
        b"127.0.0.1:80",
        b"999.1.1.1",
        b"example.com:",
        b"example.com:0",
        b"example.com:000080",
        b"example.com:65535",
        b"b%C3%BCcher.example",
        b"a,b",
        b"!$&'()*+,;=~",
        b"[::1]",
        b"[::1]:8080",
        b"[::ffff:192.0.2.1]:",
        b"[v1.fe80::a+en1]",
        b"[vF.x]:1",
    ];
    for host in MANY {
        let shown = String::from_utf8_lossy(host);
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(checked(version, "/", &[host]), Ok(()), "{shown} {version:?}");
            assert_eq!(checked(version, "/", &[host, host]), Err(HostError::Doubled), "{shown}");
        }
    }
}

#[test]
fn everything_else_is_malformed() {
    const MANY: &[&[u8]] = &[
        b"",
        b":",
        b":8080",
        b"a b",
        b"a, b",
        b"a\tb",
        b"user@example.com",
        b"user:password@example.com",
        b"@",
        b"http://example.com",
        b"example.com/",
        b"example.com/path",
        b"/",
        b"example.com?x",
        b"example.com#x",
        b"example.com:port",
        b"example.com:80a",
        b"example.com:-1",
        b"example.com:+1",
        b"example.com: 80",
        b"example.com:80:80",
        b"example.com:65536",
        b"example.com:99999999999",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[::1]x",
        b"[::1]:x",
        b"[::1%25eth0]",
        b"[127.0.0.1]",
        b"[v1]",
        b"[v.x]",
        b"[vg.x]",
        b"[v1.]",
        b"x[::1]",
        b"100%",
        b"%4",
        b"%zz",
        b"<a>",
        b"a\"b",
        b"a\\b",
        b"a^b",
        b"a`b",
        b"{a}",
        b"a|b",
        b"b\xc3\xbccher.example",
        b"\xff",
    ];
    for host in MANY {
        let shown = String::from_utf8_lossy(host);
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(checked(version, "/", &[host]), Err(HostError::Malformed), "{shown} {version:?}");
        }
    }
}

#[test]
fn each_version_needs_what_its_rfc_says() {
    use HostError::{Different, MalformedTarget, Missing};
    for (version, target, host, expected) in [
        (Version::HTTP_09, "/", None, Ok(())),
        (Version::HTTP_10, "/", None, Ok(())),
        (Version::HTTP_11, "/", None, Err(Missing)),
        (Version::HTTP_11, "*", None, Err(Missing)),
        (Version::HTTP_11, "*", Some("a"), Ok(())),
        // The absolute target's own host counts, and Host must be there all the same.
        (Version::HTTP_10, "http://a/", None, Ok(())),
        (Version::HTTP_11, "http://a/", None, Err(Missing)),
        (Version::HTTP_11, "http://a/", Some("a"), Ok(())),
        (Version::HTTP_11, "http://a/", Some("b"), Ok(())),
        (Version::HTTP_11, "http://user@a/", Some("a"), Err(MalformedTarget)),
        (Version::HTTP_11, "http://a:70000/", Some("a"), Err(MalformedTarget)),
        (Version::HTTP_10, "http://user@a/", None, Err(MalformedTarget)),
        (Version::HTTP_2, "/", None, Err(Missing)),
        (Version::HTTP_2, "/", Some("a"), Ok(())),
        (Version::HTTP_2, "http://a/", None, Ok(())),
        (Version::HTTP_2, "http://a/", Some("A"), Ok(())),
        (Version::HTTP_2, "http://a/", Some("a:80"), Ok(())),
        (Version::HTTP_2, "http://a:80/", Some("a"), Ok(())),
        (Version::HTTP_2, "http://a/", Some("a:443"), Err(Different)),
        (Version::HTTP_2, "https://a/", Some("a:443"), Ok(())),
        (Version::HTTP_2, "https://a/", Some("a:80"), Err(Different)),
        (Version::HTTP_2, "https://a:8443/", Some("a:8443"), Ok(())),
        (Version::HTTP_2, "https://a/", Some("b"), Err(Different)),
        (Version::HTTP_2, "https://a/", Some("a."), Err(Different)),
        (Version::HTTP_2, "https://user@a/", None, Err(MalformedTarget)),
        (Version::HTTP_2, "https://a:70000/", None, Err(MalformedTarget)),
    ] {
        let hosts: Vec<_> = host.map(str::as_bytes).into_iter().collect();
        assert_eq!(checked(version, target, &hosts), expected, "{version:?} {target} {host:?}");
    }
}
