//! The real binaries as processes: start, configuration, log and end.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark_service::settings::Setting;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    Http,
    jws::segments,
    process::{AUTH, Process, RESOURCE, Start},
    until,
    world::{ADMIN, BILLING, ISSUER, MUTE, STRANGER, Tokens, bootstrap},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A binary, the prefix of its settings, and the settings.
const BINARIES: [(&str, &str, &[Setting]); 2] = [
    (AUTH, "AUTH_", auth_service::config::SETTINGS),
    (RESOURCE, "RESOURCE_", resource_service::config::SETTINGS),
];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bootstrap.toml"), bootstrap()).unwrap();
    folder
}

/// auth-service with its files in `folder`, on ports that the system picks.
fn auth(folder: &Path) -> Start {
    Start::of(AUTH).within(folder).envs([
        ("AUTH_HTTP_ADDR", "127.0.0.1:0"),
        ("AUTH_GRPC_ADDR", "127.0.0.1:0"),
        ("AUTH_OPS_ADDR", "127.0.0.1:0"),
        ("AUTH_ISSUER", ISSUER),
        ("AUTH_BOOTSTRAP_FILE", "bootstrap.toml"),
    ])
}

fn resource(folder: &Path, auth: &Process) -> Start {
    Start::of(RESOURCE)
        .within(folder)
        .envs([
            ("RESOURCE_HTTP_ADDR", "127.0.0.1:0"),
            ("RESOURCE_OPS_ADDR", "127.0.0.1:0"),
            ("RESOURCE_ISSUER", ISSUER),
        ])
        .env("RESOURCE_AUTH_URL", format!("http://{}", auth.address("http")))
}

async fn ready(process: &Process) {
    let ops = process.ops();
    until("the service is ready", async || (ops.get("/health/ready").await.status == 200).then_some(()))
        .await;
}

async fn login(http: &Http) -> Tokens {
    Tokens::of(&http.post("/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1})).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_work_together_out_of_the_box() {
    let folder = folder();
    let auth = auth(folder.path()).listen().await;
    let resource = resource(folder.path(), &auth).listen().await;
    ready(&resource).await;
    let tokens = login(&auth.http()).await;
    let answer = resource.http().get("/protected-route").bearer(&tokens.access).await;
    assert_eq!(answer.is(200), json!({"logged_in_as": ADMIN.0}));
    assert!(auth.grpc().basic(BILLING.0, BILLING.1).introspect(&tokens.access).await.unwrap().active);
    for process in [auth, resource] {
        assert_eq!(process.stop().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_lists_every_setting_with_its_default() {
    for (binary, prefix, settings) in BINARIES {
        let text = help(binary, &["--help"]).await;
        for setting in settings {
            assert!(setting.name.starts_with(prefix));
            let flag = format!("--{}", setting.name.to_lowercase().replace('_', "-"));
            assert!(text.contains(&flag), "{flag}");
            assert!(text.contains(&format!("[env: {}]", setting.name)), "{}", setting.name);
            if let Some(default) = setting.default {
                let shown = format!("[env: {}] [default: {default}]", setting.name);
                assert!(text.contains(&shown), "{shown}");
            }
        }
        assert!(text.contains("healthcheck"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_a_subcommand_lists_its_own_options_and_says_where_the_settings_are() {
    let cases: [(&str, &[&str], &str, &str); 4] = [
        (AUTH, &["healthcheck", "--help"], "healthcheck", "Settings: see `auth-service --help`."),
        (AUTH, &["user", "add", "--help"], "--password-file", "Settings: see `auth-service --help`."),
        (AUTH, &["key", "rotate", "--help"], "--wait", "Settings: see `auth-service --help`."),
        (RESOURCE, &["healthcheck", "--help"], "healthcheck", "Settings: see `resource-service --help`."),
    ];
    for (binary, arguments, own, note) in cases {
        let text = help(binary, arguments).await;
        assert!(text.contains(own), "{own}: {text}");
        assert!(text.ends_with(note), "{text}");
        assert!(!text.contains("--auth-") && !text.contains("--resource-"), "{text}");
    }
    let healthcheck =
        Start::of(AUTH).arg("healthcheck").arg("--auth-ops-addr").arg("127.0.0.1:1").end().await;
    assert_eq!(healthcheck.code, Some(1), "the setting is accepted, and nobody listens: {healthcheck:?}");
}

/// What the program prints for help, its white space folded.
async fn help(binary: &str, arguments: &[&str]) -> String {
    let help = arguments.iter().fold(Start::of(binary), Start::arg).end().await;
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    help.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_is_refused_with_a_sentence_that_shows_a_good_one() {
    for (binary, name, value, sentence) in [
        (
            AUTH,
            "AUTH_HTTP_ADDR",
            "abc",
            "\"abc\" is no IP address with a port; write it like 127.0.0.1:8080, localhost:8080 or :8080",
        ),
        (AUTH, "AUTH_HASH_QUEUE", "many", "\"many\" is no whole number; write it like 32"),
        (AUTH, "AUTH_ACCESS_TTL", "soon", "\"soon\" is no span of time; write it like 15m, 30d or 0s"),
        (
            RESOURCE,
            "RESOURCE_HTTP_ADDR",
            "host:80",
            "\"host:80\" is no IP address with a port; write it like 127.0.0.1:8081, localhost:8080 or :8080",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ended = Start::of(binary).within(folder.path()).env(name, value).end().await;
        assert_eq!((ended.code, ended.stderr), (Some(64), format!("{name}: {sentence}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_the_contract_exists_with_its_default() {
    let contract = [
        ("AUTH_HTTP_ADDR", Some("127.0.0.1:8080")),
        ("AUTH_GRPC_ADDR", Some("127.0.0.1:50051")),
        ("AUTH_OPS_ADDR", Some("127.0.0.1:9080")),
        ("AUTH_ISSUER", Some("http://localhost:8080")),
        ("AUTH_AUDIENCE", Some("resource-service")),
        ("AUTH_DATABASE_URL", Some("sqlite://data/auth.db")),
        ("AUTH_MASTER_KEY_FILE", Some("data/master.key")),
        ("AUTH_ACCESS_TTL", Some("15m")),
        ("AUTH_REFRESHED_ACCESS_TTL", Some("5m")),
        ("AUTH_REFRESH_TTL", Some("30d")),
        ("AUTH_SESSION_TTL", Some("90d")),
        ("AUTH_SESSIONS_PER_ACCOUNT", Some("50")),
        ("AUTH_PATH_PREFIX", Some("kept")),
        ("AUTH_REFRESH_GRACE", Some("10s")),
        ("AUTH_JWKS_MAX_AGE", Some("5m")),
        ("AUTH_KEY_MAX_AGE", Some("90d")),
        ("AUTH_ROTATION_PATIENCE", Some("1h")),
        ("AUTH_WATCH_SCOPE", Some("warn")),
        ("AUTH_REGISTRATION", Some("closed")),
        ("AUTH_LOGIN_LIMITS", Some("account=10/min,address=100/min,global=off")),
        ("AUTH_TOKEN_LIMITS", Some("session=60/min,account=600/min,client=off")),
        ("AUTH_HASH_SLOTS", None),
        ("AUTH_HASH_QUEUE", Some("32")),
        ("AUTH_TRUSTED_PROXIES", None),
        ("AUTH_MAX_CONNECTIONS", Some("4096")),
        ("AUTH_CORS_ORIGINS", None),
        ("AUTH_COOKIE_DOMAIN", None),
        ("AUTH_GRPC_REFLECTION", Some("false")),
        ("AUTH_BOOTSTRAP_FILE", None),
        ("RESOURCE_HTTP_ADDR", Some("127.0.0.1:8081")),
        ("RESOURCE_OPS_ADDR", Some("127.0.0.1:9081")),
        ("RESOURCE_ISSUER", Some("http://localhost:8080")),
        ("RESOURCE_AUDIENCE", Some("resource-service")),
        ("RESOURCE_AUTH_URL", None),
        ("RESOURCE_AUTH_GRPC", None),
        ("RESOURCE_CLIENT_ID", None),
        ("RESOURCE_CLIENT_SECRET", None),
        ("RESOURCE_DATABASE_URL", Some("sqlite://data/resource.db")),
        ("RESOURCE_LEEWAY", Some("0s")),
        ("RESOURCE_TOKEN_LOCATIONS", Some("header")),
        ("RESOURCE_JWKS_COOLDOWN", Some("10s")),
        ("RESOURCE_JWKS_TIMEOUT", Some("3s")),
        ("RESOURCE_STALE_AFTER", Some("5s")),
        ("RESOURCE_STALE_POLICY", Some("allow")),
        ("RESOURCE_BUNDLE_FILE", Some("data/verifier.bundle")),
        ("RESOURCE_BUNDLE_TTL", Some("24h")),
        ("RESOURCE_TRUSTED_PROXIES", None),
        ("RESOURCE_MAX_CONNECTIONS", Some("4096")),
        ("RESOURCE_CORS_ORIGINS", None),
    ];
    for (name, default) in contract {
        let setting =
            BINARIES.iter().flat_map(|(_, _, settings)| *settings).find(|setting| setting.name == name);
        assert_eq!(setting.unwrap_or_else(|| panic!("{name} is no setting")).default, default, "{name}");
    }
}

/// Invalid values for each setting.
const BAD: &[(&str, &[&str])] = &[
    ("AUTH_HTTP_ADDR", &["localhost", "127.0.0.1", "127.0.0.1:99999", ""]),
    ("AUTH_GRPC_ADDR", &["http://127.0.0.1:1"]),
    ("AUTH_OPS_ADDR", &["9080", "::9080", "example.com:9080"]),
    (
        "AUTH_ISSUER",
        &[
            "auth.test",
            "http://auth.test/",
            "ftp://auth.test",
            "http://auth.test?x",
            "http://auth.test#x",
            "",
        ],
    ),
    // The certificate files have tests of their own.
    ("AUTH_TLS_CERT_FILE", &[]),
    ("AUTH_TLS_KEY_FILE", &[]),
    ("AUTH_HTTP_CLIENT_CA_FILE", &["/nowhere/ca.pem"]),
    ("AUTH_GRPC_CLIENT_CA_FILE", &["/nowhere/ca.pem"]),
    ("AUTH_AUDIENCE", &["", ",", "a,,b", "a,a", "a\u{1b}[31m", "a,b\nc"]),
    ("AUTH_DATABASE_URL", &["auth.db", "sqlite://", "mysql://x/y", ""]),
    ("AUTH_MARK_FILE", &["data/", "data/auth.db"]),
    ("AUTH_MASTER_KEY_FILE", &[""]),
    ("AUTH_ACCESS_TTL", &["soon", "0s", "1ms", "1500ms", "100y", "-1s", "900", ""]),
    ("AUTH_REFRESHED_ACCESS_TTL", &["0s", "x"]),
    ("AUTH_REFRESH_TTL", &["0s", "x"]),
    ("AUTH_SESSION_TTL", &["0s", "x"]),
    ("AUTH_PATH_PREFIX", &["/id", "yes", ""]),
    ("AUTH_PASSWORD_BLOCKLIST_FILE", &["/nowhere/blocklist.txt"]),
    ("AUTH_SESSIONS_PER_ACCOUNT", &["0", "-1", "many", "1.5", "99999999999"]),
    ("AUTH_REFRESH_GRACE", &["x", "-1s", "61m", "1y"]),
    ("AUTH_JWKS_MAX_AGE", &["0s", "x"]),
    ("AUTH_KEY_MAX_AGE", &["0s", "x"]),
    ("AUTH_ROTATION_PATIENCE", &["0s", "x", "-1h"]),
    ("AUTH_WATCH_SCOPE", &["", "Warn", "required", "off", "true"]),
    ("AUTH_REGISTRATION", &["Open", "yes", ""]),
    (
        "AUTH_LOGIN_LIMITS",
        &[
            "10",
            "account=10",
            "account=0/min",
            "account=1/week",
            "other=1/min",
            "account=1/min,account=1/min",
        ],
    ),
    (
        "AUTH_TOKEN_LIMITS",
        &["60", "session=60", "session=0/min", "client=1/week", "address=1/min", "session=off,session=off"],
    ),
    ("AUTH_AUDIT_TTL", &["0s", "x"]),
    ("AUTH_HASH_SLOTS", &["0", "257", "-1", "x"]),
    ("AUTH_HASH_QUEUE", &["-1", "x", ""]),
    ("AUTH_TRUSTED_PROXIES", &["x", "10.0.0.0/33", "10.0.0.1,,"]),
    ("AUTH_MAX_CONNECTIONS", &["0", "-1", "1000001", "many", ""]),
    ("AUTH_CORS_ORIGINS", &["*", "example.com", "https://example.com/", "https://EXAMPLE.com"]),
    ("AUTH_COOKIE_DOMAIN", &["x", ".example.com", "Example.com", "example.com:80"]),
    ("AUTH_GRPC_REFLECTION", &["yes", "1", "TRUE", ""]),
    ("AUTH_BOOTSTRAP_FILE", &["/nowhere/bootstrap.toml"]),
    ("AUTH_LOG", &["info=x=y", ""]),
    ("AUTH_CONFIG_FILE", &["/nowhere/config.toml"]),
    ("RESOURCE_HTTP_ADDR", &["localhost", "127.0.0.1:99999", ""]),
    ("RESOURCE_OPS_ADDR", &["x"]),
    ("RESOURCE_TLS_CERT_FILE", &[]),
    ("RESOURCE_TLS_KEY_FILE", &[]),
    ("RESOURCE_HTTP_CLIENT_CA_FILE", &["/nowhere/ca.pem"]),
    ("RESOURCE_ISSUER", &["auth.test", "http://auth.test/", "http://u:p@auth.test", ""]),
    ("RESOURCE_AUDIENCE", &["", "a,b", " "]),
    ("RESOURCE_AUTH_URL", &["auth", "ftp://auth", "http://auth?x", "http://u:p@auth"]),
    ("RESOURCE_AUTH_GRPC", &["auth:50051", "http://auth/x"]),
    ("RESOURCE_AUTH_CA_FILE", &["/nowhere/ca.pem"]),
    ("RESOURCE_CLIENT_CERT_FILE", &[]),
    ("RESOURCE_CLIENT_KEY_FILE", &[]),
    ("RESOURCE_CLIENT_ID", &["alone"]),
    // The secret has a test of its own.
    ("RESOURCE_CLIENT_SECRET", &[]),
    ("RESOURCE_DATABASE_URL", &["resource.db", "postgres://x/y", ""]),
    ("RESOURCE_LEEWAY", &["x", "1h", "-1s", ""]),
    ("RESOURCE_TOKEN_LOCATIONS", &["", "body", "header,header", "header,"]),
    ("RESOURCE_FORWARD_AUTH_RULES", &["/nowhere/rules.toml"]),
    ("RESOURCE_JWKS_COOLDOWN", &["x", "2d"]),
    ("RESOURCE_JWKS_TIMEOUT", &["0s", "31s"]),
    ("RESOURCE_JWKS_PROXY", &["proxy:3128", "ftp://proxy", "http://u:p@proxy", "http://proxy/x"]),
    ("RESOURCE_STALE_AFTER", &["0s", "x"]),
    ("RESOURCE_STALE_POLICY", &["Allow", "maybe"]),
    ("RESOURCE_BUNDLE_FILE", &[""]),
    ("RESOURCE_BUNDLE_TTL", &["0s", "x"]),
    ("RESOURCE_TRUSTED_PROXIES", &["x"]),
    ("RESOURCE_MAX_CONNECTIONS", &["0", "-1", "1000001", "many", ""]),
    ("RESOURCE_CORS_ORIGINS", &["*"]),
    ("RESOURCE_LOG", &["info=x=y", ""]),
    ("RESOURCE_CONFIG_FILE", &["/nowhere/config.toml"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_is_64_and_named_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    // If a port were bound before the configuration is checked, the error would name this port.
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (binary, prefix, settings) in BINARIES {
        for setting in settings {
            let values = BAD.iter().find(|(name, _)| *name == setting.name);
            let (name, values) = values.unwrap_or_else(|| panic!("no bad value of {}", setting.name));
            for value in *values {
                let start =
                    Start::of(binary).within(folder.path()).env(&format!("{prefix}HTTP_ADDR"), &taken);
                let ended = start.env(name, value).end().await;
                assert_eq!(ended.code, Some(64), "{name}={value:?}: {ended:?}");
                assert_eq!(ended.stdout, "", "{ended:?}");
                assert_eq!(ended.stderr.lines().count(), 1, "one line: {ended:?}");
                assert!(ended.stderr.contains(name), "{name} is named: {ended:?}");
            }
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_setting_is_64_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("typo.toml"), "auth_isuer = \"http://auth.test\"\n").unwrap();
    fs::write(folder.path().join("table.toml"), "[auth]\nissuer = \"http://auth.test\"\n").unwrap();
    fs::write(folder.path().join("broken.toml"), "auth_issuer = \n").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["--auth-isuer", "x"], "--auth-isuer"),
        (&["serve"], "serve"),
        (&["--auth-issuer"], "--auth-issuer"),
        (&["--auth-config-file", "typo.toml"], "auth_isuer"),
        (&["--auth-config-file", "table.toml"], "auth"),
        (&["--auth-config-file", "broken.toml"], "line 1"),
    ];
    for (arguments, what) in cases {
        let ended = arguments.iter().fold(Start::of(AUTH).within(folder.path()), Start::arg).end().await;
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(what), "{arguments:?}: {ended:?}");
    }
    for (binary, _, settings) in BINARIES {
        // A value that is not text differs from no value.
        let spans = settings.iter().find(|setting| setting.name.ends_with("_TTL")).unwrap();
        let start = Start::of(binary).within(folder.path()).env(spans.name, OsStr::from_bytes(b"\xFF"));
        let ended = start.end().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(spans.name), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_a_value_or_a_file_and_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "a-very-secret-client-secret-0123456789";
    fs::write(folder.path().join("secret"), secret).unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    let start = || Start::of(RESOURCE).within(folder.path()).env("RESOURCE_LEEWAY", "wrong");
    let both = start()
        .env("RESOURCE_CLIENT_SECRET", secret)
        .env("RESOURCE_CLIENT_SECRET_FILE", "secret")
        .end()
        .await;
    let nowhere = start().env("RESOURCE_CLIENT_SECRET_FILE", "nowhere").end().await;
    let empty = start().env("RESOURCE_CLIENT_SECRET_FILE", "empty").end().await;
    let alone = start().env("RESOURCE_CLIENT_SECRET", secret).end().await;
    for (ended, what) in [
        (both, "RESOURCE_CLIENT_SECRET: is given both"),
        (nowhere, "RESOURCE_CLIENT_SECRET_FILE"),
        (empty, "RESOURCE_CLIENT_SECRET_FILE"),
        (alone, "RESOURCE_CLIENT_ID"),
    ] {
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(what), "{what}: {ended:?}");
        assert!(!ended.stderr.contains(secret), "{ended:?}");
    }
    let good =
        start().env("RESOURCE_CLIENT_ID", "x").env("RESOURCE_CLIENT_SECRET_FILE", "secret").end().await;
    assert!(good.stderr.contains("RESOURCE_LEEWAY"), "the secret is no longer what is wrong: {good:?}");
}

/// Arguments, environment, and the issuer that results from them.
type Given<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let folder = folder();
    let file = "auth_issuer = \"http://file.test\"\nAUTH_ACCESS_TTL = \"7m\"\nauth_grpc_reflection = true\n";
    fs::write(folder.path().join("config.toml"), file).unwrap();
    let cases: [Given<'_>; 4] = [
        (&["--auth-config-file", "config.toml"], &[], "http://file.test"),
        (&[], &[("AUTH_CONFIG_FILE", "config.toml"), ("AUTH_ISSUER", "http://env.test")], "http://env.test"),
        (
            &["--auth-issuer", "http://flag.test"],
            &[("AUTH_CONFIG_FILE", "config.toml"), ("AUTH_ISSUER", "http://env.test")],
            "http://flag.test",
        ),
        (&["--auth-issuer=http://flag.test"], &[], "http://flag.test"),
    ];
    for (arguments, variables, issuer) in cases {
        let start = Start::of(AUTH).within(folder.path()).envs(variables.iter().copied()).envs([
            ("AUTH_HTTP_ADDR", "127.0.0.1:0"),
            ("AUTH_GRPC_ADDR", "127.0.0.1:0"),
            ("AUTH_OPS_ADDR", "127.0.0.1:0"),
            ("AUTH_BOOTSTRAP_FILE", "bootstrap.toml"),
        ]);
        let process = arguments.iter().fold(start, Start::arg).listen().await;
        let document = process.http().get("/.well-known/openid-configuration").await.is(200);
        assert_eq!(document["issuer"], json!(issuer));
        let has_file = arguments.contains(&"config.toml") || !variables.is_empty();
        let expected = if has_file { 7 * 60 } else { 15 * 60 };
        assert_eq!(login(&process.http()).await.answer["expires_in"], json!(expected));
        assert_eq!(process.stop().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_its_setting_and_no_file_is_touched() {
    let (first, second) = (folder(), tempfile::tempdir().unwrap());
    let auth_first = auth(first.path()).listen().await;
    let resource_first = resource(first.path(), &auth_first).listen().await;
    let ports = [
        (AUTH, "AUTH_HTTP_ADDR", auth_first.address("http")),
        (AUTH, "AUTH_GRPC_ADDR", auth_first.address("grpc")),
        (AUTH, "AUTH_OPS_ADDR", auth_first.address("ops")),
        (RESOURCE, "RESOURCE_HTTP_ADDR", resource_first.address("http")),
        (RESOURCE, "RESOURCE_OPS_ADDR", resource_first.address("ops")),
    ];
    for (binary, setting, address) in ports {
        let free = BINARIES.iter().flat_map(|(_, _, settings)| *settings);
        let free = free
            .filter(|setting| setting.name.ends_with("_ADDR"))
            .map(|setting| (setting.name, "127.0.0.1:0"));
        let start = Start::of(binary).within(second.path()).envs(free).env(setting, address.to_string());
        let ended = start.end().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let last = ended.stderr.lines().last().unwrap();
        for what in [setting, &address.port().to_string(), "already in use"] {
            assert!(last.contains(what), "{what}: {ended:?}");
        }
    }
    assert_eq!(fs::read_dir(second.path()).unwrap().count(), 0, "no file was made");
    login(&auth_first.http()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_the_request_in_flight_finish() {
    let folder = folder();
    let mut auth = auth(folder.path()).listen().await;
    ready(&auth).await;
    let body = json!({"email": ADMIN.0, "password": ADMIN.1}).to_string();
    let head = format!(
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(auth.address("http")).await.unwrap();
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    let metrics = auth.ops();
    // An idle connection, and one that was used before, do not delay the stop.
    let idle = TcpStream::connect(auth.address("http")).await.unwrap();
    let tokens = login(&auth.http()).await;
    assert!(auth.grpc().basic(BILLING.0, BILLING.1).introspect(&tokens.access).await.unwrap().active);

    auth.signal(Signal::TERM);
    let stopping = until("readiness falls", async || {
        let answer = metrics.get("/health/ready").await;
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(stopping.await.json(), json!({"status": "not ready", "reason": "stopping"}));
    until("nobody is let in", async || TcpStream::connect(auth.address("http")).await.err()).await;

    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"refresh_token\":\"rt_"),
        "{answer}"
    );
    assert_eq!(auth.exit().await.code(), Some(0));
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let folder = folder();
    let mut auth = auth(folder.path()).listen().await;
    let mut stream = TcpStream::connect(auth.address("http")).await.unwrap();
    let head = "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\
                expect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The service asks for the body, so the request is in flight.
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    let ops = auth.ops();
    auth.signal(Signal::INT);
    until("readiness falls", async || (ops.get("/health/ready").await.status == 503).then_some(())).await;
    auth.signal(Signal::TERM);
    assert_eq!(auth.exit().await.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_is_0_when_the_service_is_ready_and_1_when_not() {
    let folder = folder();
    let auth = auth(folder.path()).listen().await;
    ready(&auth).await;
    let resource = resource(folder.path(), &auth).listen().await;
    ready(&resource).await;
    for (binary, setting, process) in
        [(AUTH, "AUTH_OPS_ADDR", auth), (RESOURCE, "RESOURCE_OPS_ADDR", resource)]
    {
        let check =
            async |address: String| Start::of(binary).arg("healthcheck").env(setting, address).end().await;
        let address = process.address("ops");
        assert_eq!(check(address.to_string()).await.code, Some(0));
        assert_eq!(
            check(format!("0.0.0.0:{}", address.port())).await.code,
            Some(0),
            "it asks on this machine"
        );
        // The public port answers, but it has no health route.
        assert_eq!(check(process.address("http").to_string()).await.code, Some(1));
        assert_eq!(process.stop().await.code, Some(0));
        let gone = check(address.to_string()).await;
        assert_eq!(gone.code, Some(1));
        assert!(gone.stderr.contains(&address.to_string()), "{gone:?}");
        let bad = check("x".to_owned()).await;
        assert_eq!(bad.code, Some(64));
        assert!(bad.stderr.contains(setting), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_ready_fails_its_healthcheck() {
    let folder = folder();
    let resource = Start::of(RESOURCE).within(folder.path()).envs([
        ("RESOURCE_HTTP_ADDR", "127.0.0.1:0"),
        ("RESOURCE_OPS_ADDR", "127.0.0.1:0"),
        // No server can listen at this address.
        ("RESOURCE_AUTH_URL", "http://127.0.0.1:0"),
    ]);
    let resource = resource.listen().await;
    let check =
        Start::of(RESOURCE).arg("healthcheck").env("RESOURCE_OPS_ADDR", resource.address("ops").to_string());
    let ended = check.end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("not ready"), "{ended:?}");
    resource.http().get("/protected-route").bearer("x.y.z").await.is_unavailable();
    assert_eq!(resource.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_that_others_can_read_stops_the_start() {
    let folder = folder();
    assert_eq!(auth(folder.path()).listen().await.stop().await.code, Some(0));
    let path = folder.path().join("data/master.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = auth(folder.path()).end().await;
    assert_eq!(ended.code, Some(1));
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("AUTH_MASTER_KEY_FILE") && last.contains("0644"), "{ended:?}");
    let key = fs::read_to_string(&path).unwrap();
    assert!(!ended.stderr.contains(key.trim()), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_not_utf_8_stops_the_start() {
    let value = std::ffi::OsStr::from_bytes(b"/var/lib/\xe9.key");
    for (program, name) in [(AUTH, "AUTH_MASTER_KEY_FILE"), (RESOURCE, "RESOURCE_CLIENT_SECRET_FILE")] {
        let ended = Start::of(program).env(name, value).end().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(name) && ended.stderr.contains("is not UTF-8"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn init_makes_what_a_deployment_needs_once() {
    let folder = tempfile::tempdir().unwrap();
    let init =
        || Start::of(AUTH).within(folder.path()).arg("init").arg("--dir").arg("s").arg("--demo-account");
    let made = init().end().await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(made.stdout.lines().filter(|line| line.starts_with("made ")).count(), 3, "{made:?}");
    let content = |name: &str| fs::read_to_string(folder.path().join("s").join(name)).unwrap();
    let names = ["master.key", "resource-service.secret", "bootstrap.toml"];
    let before = names.map(content);
    for secret in &before[..2] {
        assert!(secret.trim().len() >= 43, "256 bits");
        assert!(!made.stdout.contains(secret.trim()) && !made.stderr.contains(secret.trim()));
    }
    let kept = init().end().await;
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert_eq!(kept.stdout.lines().filter(|line| line.starts_with("kept ")).count(), 3, "{kept:?}");
    let json = init().arg("--json").end().await;
    let files: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).unwrap();
    assert!(files.len() == 3 && files.iter().all(|file| file["outcome"] == "kept"), "{json:?}");
    assert_eq!(files[0]["path"], "s/master.key");
    assert_eq!(names.map(content), before);
    for name in names {
        let mode = fs::metadata(folder.path().join("s").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{name} is nothing for others");
    }
    let files = [("AUTH_BOOTSTRAP_FILE", "s/bootstrap.toml"), ("AUTH_MASTER_KEY_FILE", "s/master.key")];
    let process = auth(folder.path()).envs(files).listen().await;
    let token = login(&process.http()).await.access;
    let caller = process.grpc().basic("resource-service", before[1].trim());
    assert!(caller.introspect(token).await.unwrap().active);
    assert_eq!(process.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_answered_write_and_revives_no_spent_token() {
    let folder = folder();
    let start = async || {
        auth(folder.path()).env("AUTH_REGISTRATION", "open").env("AUTH_REFRESH_GRACE", "0s").listen().await
    };
    let mut generations = Vec::new();
    let mut accounts = Vec::new();
    for round in 0..3 {
        let mut process = start().await;
        let http = process.http();
        if generations.is_empty() {
            generations.push(login(&http).await.refresh);
        }
        for step in 0..3 {
            let email = format!("{round}-{step}@example.com");
            let body = json!({"email": email, "password": "a pass phrase"});
            http.post("/register").json(&body).await.is(201);
            accounts.push(email);
            let answer = http.post("/refresh").bearer(generations.last().unwrap()).await;
            generations.push(Tokens::of(&answer).refresh);
        }
        process.signal(Signal::KILL);
        assert_eq!(process.exit().await.code(), None);
    }
    let process = start().await;
    for spent in &generations[..generations.len() - 1] {
        let answer = process.http().post("/refresh").bearer(spent).await;
        answer.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
    }
    for email in accounts {
        let body = json!({"email": email, "password": "a pass phrase"});
        process.http().post("/login").json(&body).await.is(200);
    }
    assert_eq!(process.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_and_holds_no_secret_even_at_trace() {
    let folder = folder();
    let start = auth(folder.path()).envs([
        ("AUTH_LOG", "trace"),
        ("AUTH_REGISTRATION", "open"),
        ("RUST_LOG", "trace"),
    ]);
    let auth = start.listen().await;
    let secret = "the-secret-of-resource-service-0123456789";
    let resource = resource(folder.path(), &auth).envs([
        ("RESOURCE_LOG", "trace"),
        ("RESOURCE_CLIENT_ID", "resource"),
        ("RESOURCE_CLIENT_SECRET", secret),
        ("RESOURCE_TOKEN_LOCATIONS", "header,cookie,query,json"),
    ]);
    let resource = resource.listen().await;
    ready(&resource).await;
    let mut secrets = tour(&auth, &resource).await;
    secrets.push(secret.to_owned());
    secrets.push(fs::read_to_string(folder.path().join("data/master.key")).unwrap().trim().to_owned());
    for process in [auth, resource] {
        let ended = process.stop().await;
        assert_eq!(ended.code, Some(0));
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert!(lines.len() > 20, "the log is there: {ended:?}");
        for line in &lines {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(
                event["level"].is_string() && event["timestamp"].is_string() && event["target"].is_string(),
                "{line}"
            );
            assert!(!line.contains(|char: char| char.is_control()), "{line}");
        }
        assert!(ended.stderr.contains("\"level\":\"TRACE\""), "at trace there is much to see");
        for secret in &secrets {
            let line = lines.iter().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "{secret} is in the log");
        }
    }
}

/// Makes every kind of call, right and wrong. Returns all secrets that must not be in a log.
async fn tour(auth: &Process, resource: &Process) -> Vec<String> {
    let (http, guarded) = (auth.http(), resource.http());
    let new = ("new@example.com", "correct-horse-battery-staple");
    let wrong = "a-wrong-pass-phrase-of-somebody";
    let misplaced = "a-pass-phrase-in-the-wrong-place";
    http.post("/register").json(&json!({"email": new.0, "password": new.1})).await.is(201);
    http.post("/register").json(&json!({"email": new.0, "password": new.1})).await;
    http.post("/register").json(&json!({"email": misplaced, "password": "short"})).await;
    http.post("/register").json(&json!({"email": new.0, "password": wrong, "roles": [misplaced]})).await;
    http.post("/login").json(&json!({"email": new.0, "password": wrong})).await;
    http.post("/login").json(&json!({"email": misplaced, "password": new.1})).await;
    http.post("/login").json(&json!({"email": new.0, "password": [misplaced]})).await;
    http.post("/login").body("text/plain", misplaced).await;
    http.post("/login").body("application/json", format!("{{\"{misplaced}\": 1}}")).await;
    http.get(&format!("/{misplaced}?password={misplaced}")).await;
    http.get("/nowhere").header("x-request-id", misplaced.repeat(9)).header("cookie", misplaced).await;
    let first = Tokens::of(&http.post("/login").json(&json!({"email": new.0, "password": new.1})).await);
    let second = Tokens::of(&http.post("/refresh").bearer(&first.refresh).await);
    let third = Tokens::of(&http.post("/refresh").json(&json!({"refresh_token": second.refresh})).await);
    let stolen = Tokens::of(&http.post("/login").json(&json!({"email": new.0, "password": new.1})).await);
    let next = Tokens::of(&http.post("/refresh").bearer(&stolen.refresh).await);
    http.post("/refresh").bearer(&next.refresh).await.is(200);
    http.post("/refresh").bearer(&stolen.refresh).await.is(401);
    http.get("/sessions").bearer(&first.access).await.is(200);
    http.post("/logout").bearer(&next.access).await.is(200);
    let change = json!({"current_password": wrong, "new_password": misplaced});
    http.post("/password").bearer(&first.access).json(&change).await.is(401);
    http.post("/refresh").bearer(&third.refresh).json(&json!({"refresh_token": third.refresh})).await;
    http.post("/refresh").bearer(&first.access).await;
    http.get("/me").bearer(&first.access).await.is(200);
    http.get("/me").bearer(&first.refresh).await;
    http.get("/me").bearer(&first.access).bearer(&second.access).await;
    let [header, payload, signature] = segments(&first.access);
    let forged = format!("{header}.{payload}.{}", signature.chars().rev().collect::<String>());
    let kid =
        json!({"alg": "RS256", "typ": "at+jwt", "kid": "x\r\n{\"level\":\"ERROR\"}\u{1b}[2J"}).to_string();
    let injected = format!("{}.{payload}.{signature}", tests::jws::b64(kid));
    for token in [&first.access, &third.access, &third.refresh, &forged, &injected] {
        for path in ["/protected-route", "/optional", "/fresh", "/claims", "/admin", "/documents"] {
            guarded.get(path).bearer(token).await;
        }
        guarded.post("/expired").bearer(token).await;
        guarded.get(&format!("/protected-route?access_token={token}")).await;
        guarded.get("/protected-route").header("cookie", format!("__Host-access_token={token}")).await;
        guarded
            .post("/documents")
            .json(&json!({"access_token": token, "title": misplaced, "body": misplaced}))
            .await;
        let document = json!({"title": misplaced, "body": misplaced});
        guarded.post("/documents").bearer(token).json(&document).await;
        for (id, secret) in [BILLING, STRANGER, MUTE, (BILLING.0, wrong), (misplaced, wrong)] {
            // The outcome does not matter; the log does.
            let _ = auth.grpc().basic(id, secret).introspect(token).await;
            let _ = auth.grpc().basic(id, secret).batch(vec![token.clone()]).await;
            let _ = auth.grpc().bearer(token).introspect(secret).await;
        }
    }
    let mut secrets: Vec<_> =
        [new.1, wrong, misplaced, BILLING.1, STRANGER.1, MUTE.1].map(str::to_owned).into();
    for (id, secret) in [BILLING, STRANGER, MUTE, (BILLING.0, wrong)] {
        secrets.push(STANDARD.encode(format!("{id}:{secret}")));
    }
    for tokens in [&first, &second, &third] {
        secrets.push(tokens.refresh.clone());
        secrets.push(tokens.refresh[4..].to_owned());
        secrets.extend(segments(&tokens.access)[1..].iter().map(|&segment| segment.to_owned()));
    }
    secrets.extend([&forged, &injected].map(|token| segments(token)[2].to_owned()));
    let distinct: BTreeSet<_> = secrets.into_iter().collect();
    distinct.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_rules_for_proxies_again_and_logs_one_line() {
    const RULE: &str = "[[rules]]\npath = \"/public/**\"\naccess = \"public\"\n\n";
    let folder = folder();
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, RULE).unwrap();
    let auth = auth(folder.path()).listen().await;
    let mut process = resource(folder.path(), &auth)
        .env("RESOURCE_FORWARD_AUTH_RULES", &rules)
        .env("RESOURCE_TRUSTED_PROXIES", "127.0.0.1")
        .listen()
        .await;
    let ask = async |path: &str| {
        let asked = process.http().get("/auth").header("x-original-method", "GET");
        asked.header("x-original-uri", path).await.status
    };
    let logged = || process.stderr().lines().filter(|line| line.contains("SIGHUP")).count();
    assert_eq!((ask("/public/a").await, ask("/later").await), (200, 403));

    fs::write(&rules, format!("{RULE}{}", RULE.replace("/public/**", "/later"))).unwrap();
    assert_eq!(ask("/later").await, 403, "a file that may be half written is not read by itself");
    process.signal(Signal::HUP);
    until("the new rules hold", async || (ask("/later").await == 200).then_some(())).await;
    until("it is logged", async || (logged() == 1).then_some(())).await;

    for broken in ["[[rules]]\npath = 7", "rules = [", "[[rules]]\npath = \"/x\"\naccess = \"maybe\""] {
        fs::write(&rules, broken).unwrap();
        let before = logged();
        process.signal(Signal::HUP);
        until("it is logged", async || (logged() == before + 1).then_some(())).await;
        assert_eq!((ask("/public/a").await, ask("/later").await), (200, 200), "{broken}");
    }
    // None of these can be read to its end.
    for odd in ["pipe", "/dev/zero", "large", "/"] {
        fs::remove_file(&rules).unwrap();
        match odd {
            "pipe" => assert!(Command::new("mkfifo").arg(&rules).status().unwrap().success()),
            "large" => fs::write(&rules, RULE.repeat(30_000)).unwrap(),
            other => symlink(other, &rules).unwrap(),
        }
        let before = logged();
        process.signal(Signal::HUP);
        until("it is logged", async || (logged() == before + 1).then_some(())).await;
        assert_eq!(ask("/later").await, 200, "{odd}");
    }
    fs::remove_file(&rules).unwrap();
    process.signal(Signal::HUP);
    until("it is logged", async || (logged() == 9).then_some(())).await;
    assert_eq!(ask("/later").await, 200);
    let log = process.stderr();
    assert!(log.contains("the rules stay as they are: ") && log.contains("rules.toml"), "{log}");
    process.signal(Signal::TERM);
    assert!(process.exit().await.success());
}
