//! The host of a request (RFC 9112 §3.2, RFC 9113 §8.3.1), at every port.

use std::net::SocketAddr;

use tests::World;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Heads of HTTP/1 requests, and what is wrong with each. There is nothing at these paths.
const HEADS: &[(&[u8], Option<&str>)] = &[
    (b"GET / HTTP/1.1\r\nHost: auth.test\r\n", None),
    (b"GET / HTTP/1.1\r\nhOST:auth.test\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: \t auth.test:8080 \t\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: AUTH.TEST.:80\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: auth.test:\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: a_b-c~d.test\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: b%C3%BCcher.test\r\n", None),
    (b"GET / HTTP/1.0\r\n", None),
    (b"GET / HTTP/1.0\r\nHost: auth.test\r\n", None),
    (b"GET http://auth.test/ HTTP/1.0\r\n", None),
    (b"GET http://auth.test/ HTTP/1.1\r\nHost: auth.test\r\n", None),
    (b"GET http://auth.test:80/ HTTP/1.1\r\nHost: other.test\r\n", None),
    (b"OPTIONS * HTTP/1.1\r\nHost: auth.test\r\n", None),
    (b"GET / HTTP/1.1\r\n", Some("missing")),
    (b"GET /?host=auth.test HTTP/1.1\r\nX-Forwarded-Host: auth.test\r\n", Some("missing")),
    (b"GET http://auth.test/ HTTP/1.1\r\n", Some("missing")),
    (b"OPTIONS * HTTP/1.1\r\n", Some("missing")),
    (
        b"OPTIONS / HTTP/1.1\r\nOrigin: https://app.example.com\r\nAccess-Control-Request-Method: GET\r\n",
        Some("missing"),
    ),
    (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n", Some("missing")),
    (b"GET / HTTP/1.1\r\nHost: auth.test\r\nHost: auth.test\r\n", Some("more than one")),
    (b"GET / HTTP/1.1\r\nHost: auth.test\r\nX: y\r\nhost: other.test\r\n", Some("more than one")),
    (b"GET / HTTP/1.0\r\nHost: auth.test\r\nHost: auth.test\r\n", Some("more than one")),
    (b"GET http://auth.test/ HTTP/1.1\r\nHost: auth.test\r\nHost:\r\n", Some("more than one")),
    (b"GET / HTTP/1.1\r\nHost:\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: \t\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test, other.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test other.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: somebody@auth.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: http://auth.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test/\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test?a\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test#a\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test\\@other.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test:http\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test:80:80\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth.test:65536\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: :8080\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: ::1\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: [auth.test]\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: auth%zz.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: b\xc3\xbccher.test\r\n", Some("malformed")),
    (b"GET / HTTP/1.1\r\nHost: <auth.test>\r\n", Some("malformed")),
    (b"GET / HTTP/1.0\r\nHost: auth test\r\n", Some("malformed")),
    (b"GET http://auth.test/ HTTP/1.1\r\nHost: auth test\r\n", Some("malformed")),
    (b"GET http://somebody@auth.test/ HTTP/1.1\r\nHost: auth.test\r\n", Some("malformed")),
    (b"GET http://auth.test:65536/ HTTP/1.1\r\nHost: auth.test\r\n", Some("malformed")),
    (b"GET http://somebody@auth.test/ HTTP/1.0\r\n", Some("malformed")),
];

fn ports(world: &World) -> [SocketAddr; 4] {
    [world.auth(), world.resource(), world.auth_ops(), world.resource_ops()].map(|http| http.address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_well_formed_host_or_is_400() {
    const APP: &str = "https://app.example.com";
    let world = World::with(&[("AUTH_CORS_ORIGINS", APP), ("RESOURCE_CORS_ORIGINS", APP)]).await;
    for port in ports(&world) {
        for (head, wrong) in HEADS {
            let answer = ask(port, &[*head, b"Connection: close\r\n\r\n"].concat()).await;
            let shown = format!("{port} {}: {answer}", head.escape_ascii());
            match wrong {
                None => assert!(!answer.contains(" 400 ") && answer.starts_with("HTTP/1."), "{shown}"),
                Some(wrong) => {
                    assert!(
                        answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "),
                        "{shown}"
                    );
                    assert!(answer.contains(r#"{"error":"invalid_request","msg":"The"#), "{shown}");
                    assert!(answer.contains(wrong), "{shown}");
                }
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_host_is_400_at_every_route_and_costs_nobody_else() {
    let world = World::new().await;
    let tokens = world.login().await;
    for (port, path) in [
        (world.auth().address, "/.well-known/jwks.json"),
        (world.auth().address, "/me"),
        (world.auth().address, "/oauth/token"),
        (world.resource().address, "/protected-route"),
        (world.resource().address, "/openapi.json"),
        (world.auth_ops().address, "/health/ready"),
        (world.auth_ops().address, "/metrics"),
        (world.resource_ops().address, "/health/live"),
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a b\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            tokens.access
        );
        let answer = ask(port, head.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains(r#""error":"invalid_request""#),
            "{answer}"
        );
    }
    world.protected(&tokens.access).await.is(200);
    world.stop().await;
}

/// `:authority` and the lines of `Host` of an HTTP/2 request, and whether they are good.
type Authority<'a> = (Option<&'a [u8]>, &'a [&'a [u8]], bool);

const AUTHORITIES: &[Authority<'_>] = &[
    (Some(b"auth.test"), &[], true),
    (Some(b"auth.test:8080"), &[], true),
    (Some(b"[::1]:8080"), &[], true),
    (Some(b"127.0.0.1"), &[], true),
    (None, &[b"auth.test"], true),
    (Some(b"auth.test"), &[b"auth.test"], true),
    (Some(b"auth.test"), &[b"AUTH.test"], true),
    (Some(b"auth.test"), &[b"auth.test:80"], true),
    (Some(b"auth.test:080"), &[b"auth.test"], true),
    (Some(b"auth.test"), &[b"other.test"], false),
    (Some(b"auth.test"), &[b"auth.test:443"], false),
    (Some(b"auth.test:8080"), &[b"auth.test"], false),
    (Some(b"auth.test"), &[b"auth.test", b"auth.test"], false),
    (Some(b"auth.test"), &[b"auth test"], false),
    (Some(b"auth.test"), &[b""], false),
    (None, &[], false),
    (None, &[b""], false),
    (None, &[b"somebody@auth.test"], false),
    (None, &[b"auth.test", b"auth.test"], false),
    (Some(b""), &[], false),
    (Some(b"somebody@auth.test"), &[], false),
    (Some(b"auth test"), &[], false),
    (Some(b"auth.test:http"), &[], false),
    (Some(b"auth.test:65536"), &[], false),
    (Some(b"auth.test/path"), &[], false),
    (Some(b"http://auth.test"), &[], false),
    (Some(b"[::1"), &[], false),
    (Some(b"[auth.test]"), &[], false),
    (Some(b"auth%zz.test"), &[], false),
    (Some(b"b\xc3\xbccher.test"), &[], false),
    (Some(b":8080"), &[], false),
    (Some(b"a,b@auth.test"), &[], false),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_request_names_one_host_or_is_refused() {
    let world = World::new().await;
    for port in ports(&world).into_iter().chain([world.auth_grpc]) {
        for &(authority, hosts, is_good) in AUTHORITIES {
            let answer = ask_http2(port, authority, hosts).await;
            let shown = format!(
                "{port} {:?} {hosts:?}: {answer:?}",
                authority.map(<[u8]>::escape_ascii).map(|a| a.to_string())
            );
            match answer {
                Http2::Status(BAD_REQUEST) | Http2::Reset => assert!(!is_good, "{shown}"),
                Http2::Status(_) => assert!(is_good, "{shown}"),
            }
        }
    }
    world.stop().await;
}

/// The code of `:status: 400` (RFC 7541, appendix A).
const BAD_REQUEST: u8 = 0x8c;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http2 {
    /// The first byte of the answer's fields.
    Status(u8),
    Reset,
}

/// Sends `GET /` over HTTP/2.
async fn ask_http2(port: SocketAddr, authority: Option<&[u8]>, hosts: &[&[u8]]) -> Http2 {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut fields = vec![0x82, 0x86, 0x84];
    let literal = |name: &[u8], value: &[u8]| [name, &[u8::try_from(value.len()).unwrap()], value].concat();
    fields.extend(authority.map(|authority| literal(&[0x01], authority)).unwrap_or_default());
    fields.extend(hosts.iter().flat_map(|host| literal(&[0x0f, 38 - 15], host)));
    let length = u8::try_from(fields.len()).unwrap();
    let head = [&[0, 0, length, 1, 5, 0, 0, 0, 1][..], &fields].concat();
    let mut stream = TcpStream::connect(port).await.unwrap();
    stream.write_all(&[PREFACE, &head].concat()).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("an answer or a reset");
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            1 => return Http2::Status(payload[0]),
            3 => return Http2::Reset,
            _ => {}
        }
    }
}

/// Sends raw bytes, and reads until the other side closes the connection.
async fn ask(port: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(port).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(tests::PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
