//! Settings that can't work stop the start, with exit code 64 and a sentence that says what to write. What works and is rarely
//! meant is warned of.

use std::fs;

use tests::process::{AUTH, Ended, RESOURCE, Start};

const PORTS: [&str; 5] =
    ["AUTH_HTTP_ADDR", "AUTH_GRPC_ADDR", "AUTH_OPS_ADDR", "RESOURCE_HTTP_ADDR", "RESOURCE_OPS_ADDR"];

fn start(binary: &str, folder: &std::path::Path) -> Start {
    let prefix = if binary == AUTH { "AUTH_" } else { "RESOURCE_" };
    let ports = PORTS.iter().filter(|port| port.starts_with(prefix));
    Start::of(binary).within(folder).envs(ports.map(|port| (*port, "127.0.0.1:0")))
}

/// Starts with a bad value, and expects the refusal to name the setting.
async fn is_refused(binary: &str, name: &str, value: &str, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start(binary, folder.path()).env(name, value);
    if name == "RESOURCE_AUTH_GRPC" {
        program = program.env("RESOURCE_CLIENT_ID", "one").env("RESOURCE_CLIENT_SECRET", "s".repeat(32));
    }
    let ended: Ended = tokio::time::timeout(tests::PATIENCE, program.end())
        .await
        .unwrap_or_else(|_| panic!("{name}={value:?} was accepted"));
    assert_eq!(ended.code, Some(64), "{name}={value:?}: {ended:?}");
    assert!(ended.stderr.contains(name) && ended.stderr.contains(says), "{name}={value:?}: {ended:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{name}={value:?} left something behind");
}

/// URLs that are no issuer's, in spellings of every kind, and a word of the answer.
const NO_ISSUERS: &[(&str, &str)] = &[
    ("http://u:p@auth.test", "without user"),
    ("http://u@auth.test", "without user"),
    ("http://:p@auth.test", "without user"),
    ("http://@auth.test", "without user"),
    ("http://auth.test?", "query"),
    ("http://auth.test?x=1", "query"),
    ("http://auth.test/?x", "query"),
    ("http://auth.test#", "fragment"),
    ("http://auth.test#x", "fragment"),
    ("http://auth.test/", "write it as http://auth.test"),
    ("http://auth.test//", "has a path"),
    ("HTTP://auth.test", "write it as http://auth.test"),
    ("http://AUTH.test", "write it as http://auth.test"),
    ("http://auth.test:80", "write it as http://auth.test"),
    ("https://auth.test:443", "write it as https://auth.test"),
    ("http://auth.test:08080", "write it as http://auth.test:8080"),
    ("http:auth.test", "write it as http://auth.test"),
    ("http:/auth.test", "write it as http://auth.test"),
    ("http:///auth.test", "write it as http://auth.test"),
    ("http:\\\\auth.test", "must be"),
    ("http://auth.test\\id", "must be"),
    ("http://auth.test/a/../id", "write it as http://auth.test/id"),
    ("http://auth.test/./id", "write it as http://auth.test/id"),
    ("http://auth.test/id/", "write it as http://auth.test/id"),
    ("http://auth.test/a//b", "has a path"),
    ("http://auth.test/%69d", "has a path"),
    ("http://auth.test/i d", "must be"),
    ("http://au th.test", "must be"),
    ("http://auth.test\t/id", "must be"),
    ("http://auth\n.test", "must be"),
    ("http://auth.test:0", "must be"),
    ("http://auth.test:99999", "must be"),
    ("http://0x7f.1", "write it as http://127.0.0.1"),
    ("http://2130706433", "write it as http://127.0.0.1"),
    ("http://[::1", "must be"),
    ("http://[0:0::1]", "write it as http://[::1]"),
    ("http://münchen.test", "must be"),
    ("http://", "must be"),
    ("https:", "must be"),
    ("//auth.test", "must be"),
    ("auth.test", "must be"),
    ("ftp://auth.test", "must be"),
    ("file:///id", "must be"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_has_one_spelling_and_the_refusal_shows_it() {
    for &(url, says) in NO_ISSUERS {
        is_refused(AUTH, "AUTH_ISSUER", url, says).await;
        is_refused(RESOURCE, "RESOURCE_ISSUER", url, says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_of_hosts_addresses_origins_domains_networks_and_spans_are_read_alike() {
    for (name, values, says) in [
        (
            "RESOURCE_AUTH_URL",
            &["auth:8080", "http://u:p@auth", "http://auth?x", "http://auth#x", "ftp://auth", "http://a b"][..],
            "must be",
        ),
        (
            "RESOURCE_AUTH_GRPC",
            &["auth:50051", "http://auth/x", "http://u@auth:1", "grpc://auth", "http://auth:1?x", "http://"],
            "must be",
        ),
        (
            "RESOURCE_JWKS_PROXY",
            &["proxy:3128", "socks5://proxy", "http://u:p@proxy", "http://proxy/x"],
            "must be",
        ),
        (
            "RESOURCE_HTTP_ADDR",
            &[
                "localhost",
                "127.0.0.1",
                "8081",
                "host:8081",
                ":x",
                "localhost:99999",
                "::1:8081",
                ":+80",
                "127.1:80",
            ],
            "localhost:8080",
        ),
        (
            "RESOURCE_CORS_ORIGINS",
            &[
                "*",
                "null",
                "example.com",
                "https://a.test/",
                "https://a.test/x",
                "https://A.test",
                "https://a.test:443",
                "http://a.test:80",
                "https://*.a.test",
                "https://u@a.test",
                "https://a.test,https://b.test/",
            ],
            "RESOURCE_CORS_ORIGINS",
        ),
        (
            "RESOURCE_TRUSTED_PROXIES",
            &[
                "x",
                "10.0.0.0/33",
                "10.0.0.1/8",
                "fd00::1/8",
                "10.0.0",
                "0.0.0.0",
                "::",
                "224.0.0.0/4",
                "ff02::/16",
                "10.0.0.0-10.0.0.9",
                "10.0.0.0/255.0.0.0",
            ],
            "RESOURCE_TRUSTED_PROXIES",
        ),
        ("RESOURCE_LEEWAY", &["x", "1", "-1s", "1h", "１s", "1 fortnight"], "RESOURCE_LEEWAY"),
    ] {
        for value in values {
            is_refused(RESOURCE, name, value, says).await;
        }
    }
    for (name, values, says) in [
        ("AUTH_GRPC_ADDR", &["localhost", "x:1", "[::1]", ":"][..], "localhost:8080"),
        ("AUTH_CORS_ORIGINS", &["https://a.test/", "https://a.test:443", "a.test"], "AUTH_CORS_ORIGINS"),
        ("AUTH_TRUSTED_PROXIES", &["192.168.1.7/24", "x"], "AUTH_TRUSTED_PROXIES"),
        ("AUTH_REFRESH_GRACE", &["1y", "61m", "1d", "-1s", "10"], "AUTH_REFRESH_GRACE"),
        ("AUTH_ACCESS_TTL", &["１５m", "0s", "1500ms"], "AUTH_ACCESS_TTL"),
    ] {
        for value in values {
            is_refused(AUTH, name, value, says).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_domain_is_one_that_browsers_take_from_the_issuers_host() {
    let domains = [
        "test",
        "localhost",
        ".auth.test",
        "auth.test.",
        "AUTH.test",
        "auth.test:80",
        "http://auth.test",
        "127.0.0.1",
        "1.2",
        "a..test",
        "-a.test",
        "a-.test",
        "a_b.test",
        "a b.test",
        "*.test",
        "müller.test",
        "other.test",
        "xauth.test",
        "deeper.auth.test",
    ];
    for domain in domains {
        let folder = tempfile::tempdir().unwrap();
        let program = start(AUTH, folder.path())
            .env("AUTH_ISSUER", "https://auth.test")
            .env("AUTH_COOKIE_DOMAIN", domain);
        let ended = program.end().await;
        assert!(ended.code == Some(64) && ended.stderr.contains("AUTH_COOKIE_DOMAIN"), "{domain}: {ended:?}");
    }
    for domain in ["auth.test", "example.test"] {
        let folder = tempfile::tempdir().unwrap();
        let program = start(AUTH, folder.path())
            .env("AUTH_ISSUER", format!("https://login.{domain}"))
            .env("AUTH_COOKIE_DOMAIN", domain);
        assert_eq!(program.listen().await.stop().await.code, Some(0), "{domain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blanks_around_a_value_are_nobodys_intention() {
    let folder = tempfile::tempdir().unwrap();
    for value in [" http://auth.test ", "http://auth.test\n", "\thttp://auth.test", "http://auth.test\r\n"] {
        let auth = start(AUTH, folder.path())
            .env("AUTH_ISSUER", value)
            .env("AUTH_ACCESS_TTL", " 5m\n")
            .listen()
            .await;
        let metadata = auth.http().get("/.well-known/oauth-authorization-server").await.is(200);
        assert_eq!(metadata["issuer"], "http://auth.test", "{value:?}");
        auth.stop().await;
    }
    for address in [" localhost:0", ":0 "] {
        let resource = start(RESOURCE, folder.path()).env("RESOURCE_OPS_ADDR", address).listen().await;
        resource.ops().get("/health/live").await.is(200);
        resource.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_client_names_scopes_and_audiences_that_exist() {
    let client = |scopes: &str, audiences: &str| {
        format!(
            "[[clients]]\nid = \"billing\"\nsecret = \"{}\"\nscopes = [{scopes}]\naudiences = [{audiences}]\n",
            "s".repeat(40)
        )
    };
    let audience = "[[audiences]]\nid = \"resource-service\"\nscopes = [\"documents:read\"]\n\n";
    for (text, says) in [
        (client("\"documents:write\"", ""), "documents:write"),
        (format!("{audience}{}", client("\"documents:write\"", "")), "documents:write"),
        (format!("{audience}{}", client("\"documents:read\"", "\"archive\"")), "archive"),
        (client("\"introspect\"", "\"resource-service\""), "resource-service"),
        (client("\"Introspect\"", ""), "Introspect"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bootstrap.toml"), &text).unwrap();
        let ended = start(AUTH, folder.path()).env("AUTH_BOOTSTRAP_FILE", "bootstrap.toml").end().await;
        assert_eq!(ended.code, Some(64), "{text}: {ended:?}");
        assert!(
            ended.stderr.contains("AUTH_BOOTSTRAP_FILE")
                && ended.stderr.contains(says)
                && ended.stderr.contains("audience add"),
            "{ended:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rarely_meant_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let auth = start(AUTH, folder.path())
        .env("AUTH_ISSUER", "http://auth.test")
        .env("AUTH_AUDIENCE", "nobody-registered-this")
        .env("AUTH_ISUER", "http://x")
        .env("AUTH_SERVICE_HOST", "10.0.0.1")
        .env("AUTH_SERVICE_PORT_HTTP", "8080")
        .env("AUTH_PORT", "tcp://10.0.0.1:8080")
        .env("AUTH_PORT_8080_TCP_ADDR", "10.0.0.1")
        .listen()
        .await;
    let warned = auth.stop().await.stderr;
    let says = |text: &str, all: &[&str]| {
        text.lines().any(|line| line.contains("\"WARN\"") && all.iter().all(|part| line.contains(part)))
    };
    assert!(says(&warned, &["AUTH_ISUER", "AUTH_ISSUER"]), "{warned}");
    assert!(says(&warned, &["nobody-registered-this", "audience add"]), "{warned}");
    assert!(says(&warned, &["AUTH_ISSUER", "in the clear"]), "{warned}");
    for injected in ["AUTH_SERVICE_HOST", "AUTH_SERVICE_PORT_HTTP", "AUTH_PORT"] {
        assert!(!says(&warned, &[injected]), "{warned}");
    }

    let resource = start(RESOURCE, folder.path())
        .env("RESOURCE_ISSUER", "http://auth.test")
        .env("RESOURCE_AUTH_URL", "http://127.0.0.1:9")
        .env("RESOURCE_STALE_AFER", "1s")
        .listen()
        .await;
    let warned = resource.stop().await.stderr;
    assert!(says(&warned, &["RESOURCE_STALE_AFER", "RESOURCE_STALE_AFTER"]), "{warned}");
    assert!(!says(&warned, &["in the clear"]), "the keys come from this machine: {warned}");

    let quiet = start(AUTH, folder.path()).env("AUTH_ISSUER", "http://localhost:8080").listen().await;
    assert!(!quiet.stop().await.stderr.contains("in the clear"));
}
