//! A proxy asks resource-service before it forwards a request. The test is the proxy: it names the original request as
//! nginx, Traefik and Caddy do, and passes on the client's headers.

use std::fs;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tests::{
    Answer, World,
    http::Ask,
    world::{ADMIN, AUDIENCE, PLAIN, Tokens},
};

/// The rules of all tests in this file.
pub(crate) const RULES: &str = r#"
[[rules]]
path = "/public/**"
access = "public"

[[rules]]
path = "/welcome"
access = "optional"

[[rules]]
path = "/admin/**"
roles = ["admin"]

[[rules]]
path = "/documents/**"
methods = ["GET"]
scopes = ["documents:read"]

[[rules]]
path = "/documents/**"
scopes = ["documents:write"]

[[rules]]
path = "/archive/**"
audiences = ["archive"]

[[rules]]
path = "/danger"
fresh = true

[[rules]]
path = "/app/**"
"#;

/// Both services with these rules. Proxies at 127.0.0.1 are trusted.
pub(crate) async fn world(more: &[(&str, &str)]) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    fs::write(&path, RULES).unwrap();
    let path = path.to_str().unwrap();
    let own = [("RESOURCE_FORWARD_AUTH_RULES", path), ("RESOURCE_TRUSTED_PROXIES", "127.0.0.1")];
    (World::with(&[&own, more].concat()).await, folder)
}

/// The question that nginx asks about a request.
fn nginx(world: &World, method: &str, target: &str) -> Ask {
    let ask = world.resource().get("/auth");
    ask.header("x-original-method", method).header("x-original-uri", target)
}

/// The question that Traefik and Caddy ask about a request.
fn traefik(world: &World, method: &str, target: &str) -> Ask {
    let ask = world.resource().get("/auth");
    ask.header("x-forwarded-method", method).header("x-forwarded-uri", target)
}

/// Logs in by cookie. Returns the cookie and the CSRF value.
pub(crate) async fn by_cookie(world: &World) -> (String, String) {
    let login = json!({"email": PLAIN.0, "password": PLAIN.1, "delivery": "cookie"});
    let login = world.auth().post("/login").json(&login).await;
    let csrf = login.is(200)["csrf"].as_str().unwrap().to_owned();
    let mut cookies = login.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let cookie = cookies.find(|value| value.starts_with("__Host-access_token=")).expect("the cookie");
    (cookie.split(';').next().unwrap().to_owned(), csrf)
}

#[track_caller]
fn lets_in(answer: &Answer, subject: &str, email: &str, roles: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.is_empty(), "{answer:?}");
    assert_eq!(answer.header("x-auth-subject"), Some(subject), "{answer:?}");
    assert_eq!(answer.header("x-auth-email"), Some(email), "{answer:?}");
    assert_eq!(answer.header("x-auth-roles"), Some(roles), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
}

/// Expects a refusal by the rules that reveals nothing about them.
#[track_caller]
fn is_closed(answer: &Answer) {
    answer.refuses(403, "forbidden", "Nothing is open to you there");
    assert_eq!(answer.header("x-auth-subject"), None, "{answer:?}");
}

fn subject(tokens: &Tokens) -> String {
    tokens.claims()["sub"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_meets_the_rule_is_let_in_with_an_identity() {
    let (world, _rules) = world(&[]).await;
    let (admin, plain) = (world.login().await, world.login_as(PLAIN).await);
    for ask in [nginx, traefik] {
        let answer = ask(&world, "GET", "/admin/users?page=2").bearer(&admin.access).await;
        lets_in(&answer, &subject(&admin), ADMIN.0, "admin");
        assert_eq!(answer.header("x-auth-scope"), Some("documents:read documents:write"));
        assert_eq!(answer.header("x-auth-client"), Some("first-party"));
        let answer = ask(&world, "GET", "/app").bearer(&plain.access).await;
        lets_in(&answer, &subject(&plain), PLAIN.0, "");
        let answer = ask(&world, "GET", "/admin/users").bearer(&plain.access).await;
        answer.challenges(AUDIENCE, 403, "insufficient_scope", "The role admin is required", &[]);
        ask(&world, "GET", "/app").await.misses_a_token(AUDIENCE);
        let answer = ask(&world, "GET", "/app").bearer("garbage").await;
        answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
        lets_in(&ask(&world, "GET", "/danger").bearer(&plain.access).await, &subject(&plain), PLAIN.0, "");
        let refreshed = world.refresh(&world.login_as(PLAIN).await.refresh).await;
        let answer = ask(&world, "GET", "/danger").bearer(&refreshed.access).await;
        let msg = "A more recent login is required";
        answer.challenges(AUDIENCE, 401, "insufficient_user_authentication", msg, &[("max_age", "0")]);
        let answer = ask(&world, "GET", "/archive/x").bearer(&admin.access).await;
        answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_method_chooses_the_rule() {
    let (world, _rules) = world(&[]).await;
    let reader = world.auth().post("/oauth/token").basic(tests::world::MUTE);
    let reader = reader.form(&[("grant_type", "client_credentials")]).await.is(200);
    let reader = reader["access_token"].as_str().unwrap();
    for method in ["GET", "HEAD"] {
        let answer = nginx(&world, method, "/documents/7").bearer(reader).await;
        lets_in(&answer, "mute", "", "");
        assert_eq!(answer.header("x-auth-client"), Some("mute"));
    }
    for method in ["PUT", "DELETE", "BREW"] {
        let answer = nginx(&world, method, "/documents/7").bearer(reader).await;
        let msg = "The token lacks the scope documents:write";
        answer.challenges(AUDIENCE, 403, "insufficient_scope", msg, &[("scope", "documents:write")]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_asks_for_nothing_and_names_nobody() {
    let (world, _rules) = world(&[]).await;
    let plain = world.login_as(PLAIN).await;
    lets_in(&nginx(&world, "GET", "/public/style.css").await, "", "", "");
    lets_in(&nginx(&world, "GET", "/public/").bearer("garbage").await, "", "", "");
    lets_in(&nginx(&world, "GET", "/welcome").await, "", "", "");
    lets_in(&nginx(&world, "GET", "/welcome").bearer(&plain.access).await, &subject(&plain), PLAIN.0, "");
    let answer = nginx(&world, "GET", "/welcome").bearer("garbage").await;
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_is_for_is_closed_and_so_is_a_path_in_disguise() {
    let (world, _rules) = world(&[]).await;
    let admin = world.login().await.access;
    for target in [
        "/",
        "/PUBLIC/x",
        "/publicity",
        "/public/../admin",
        "/public/../admin/users",
        "/public/%2e%2e/admin",
        "/public/%2E%2E/%61dmin",
        "/public%2f..%2fadmin",
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/public/%252e%252e/admin",
        "/public/..;/admin",
        "/public/%2e%2e;x/admin",
        "/public;/../admin",
        "//admin",
        "/admin/../public/x",
        "/public/../../admin",
        "/public//../admin",
        "/public/x%00/../admin",
        "http://other/public/x",
        "public/x",
        "*",
        "",
    ] {
        is_closed(&nginx(&world, "GET", target).await);
        is_closed(&nginx(&world, "GET", target).bearer(&admin).await);
    }
    // Each reading of these paths is public.
    lets_in(&nginx(&world, "GET", "/public/a/../b").await, "", "", "");
    lets_in(&nginx(&world, "GET", "/public//b").await, "", "", "");
    // Each reading of these paths requires the role `admin`.
    nginx(&world, "GET", "/%61dmin").await.misses_a_token(AUDIENCE);
    nginx(&world, "GET", "/admin/").await.misses_a_token(AUDIENCE);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_what_the_original_request_is() {
    let (world, _rules) = world(&[("RESOURCE_TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let admin = world.login().await.access;
    for ask in [nginx, traefik] {
        is_closed(&ask(&world, "GET", "/public/x").bearer(&admin).await);
        let claimed = ask(&world, "GET", "/public/x").header("x-forwarded-for", "10.0.0.1");
        is_closed(&claimed.bearer(&admin).await);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opinion_on_the_original_request_closes_it() {
    let (world, _rules) = world(&[]).await;
    let plain = world.login_as(PLAIN).await.access;
    // The client's own headers, which the proxy did not remove.
    let both = |method: &str, target: &str| {
        let ask = nginx(&world, "GET", "/admin/x").bearer(&plain);
        ask.header("x-forwarded-method", method).header("x-forwarded-uri", target)
    };
    is_closed(&both("GET", "/public/x").await);
    is_closed(&both("POST", "/admin/x").await);
    is_closed(&nginx(&world, "GET", "/admin/x").header("x-original-uri", "/public/x").bearer(&plain).await);
    let answer = both("GET", "/admin/x").await;
    answer.challenges(AUDIENCE, 403, "insufficient_scope", "The role admin is required", &[]);
    // A method without a target, or a target without a method, does not count.
    is_closed(&world.resource().get("/auth").header("x-original-uri", "/public/x").await);
    is_closed(&world.resource().get("/auth").header("x-original-method", "GET").await);
    is_closed(&world.resource().get("/auth").bearer(&plain).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxys_own_demands_come_on_top() {
    let (world, _rules) = world(&[]).await;
    let (admin, plain) = (world.login().await, world.login_as(PLAIN).await);
    let ask = |query: &str, target: &str| {
        let ask = world.resource().get(&format!("/auth?{query}"));
        ask.header("x-original-method", "GET").header("x-original-uri", target)
    };
    lets_in(&ask("role=admin", "/app").bearer(&admin.access).await, &subject(&admin), ADMIN.0, "admin");
    let answer = ask("role=admin", "/app").bearer(&plain.access).await;
    answer.challenges(AUDIENCE, 403, "insufficient_scope", "The role admin is required", &[]);
    let answer = ask("scope=documents%3Aread+archive%3Aread", "/app").bearer(&plain.access).await;
    let (msg, scope) = ("The token lacks the scope archive:read", [("scope", "archive:read")]);
    answer.challenges(AUDIENCE, 403, "insufficient_scope", msg, &scope);
    // The proxy's demand requires a token where the rules do not. It opens nothing that the rules close.
    ask("role=admin", "/public/x").await.misses_a_token(AUDIENCE);
    is_closed(&ask("role=admin", "/nowhere").bearer(&admin.access).await);
    world.pass(std::time::Duration::from_mins(6));
    let answer = ask("max_age=5m", "/app").bearer(&admin.access).await;
    let msg = "A more recent login is required";
    answer.challenges(AUDIENCE, 401, "insufficient_user_authentication", msg, &[("max_age", "300")]);
    // A typing error in the demand opens nothing.
    ask("roles=admin", "/app").bearer(&admin.access).await.is_invalid_request("\"roles\"");
    ask("fresh=1", "/app").bearer(&admin.access).await.is_invalid_request("fresh");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_original_method_by_cookie_needs_the_csrf_value() {
    let (world, _rules) = world(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let (cookie, csrf) = by_cookie(&world).await;
    for ask in [nginx, traefik] {
        let by_cookie = |method: &str| ask(&world, method, "/app/x").header("cookie", &cookie);
        assert_eq!(by_cookie("GET").await.status, 200);
        assert_eq!(by_cookie("HEAD").await.status, 200);
        for method in ["POST", "PUT", "PATCH", "DELETE", "BREW"] {
            let msg = "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token";
            by_cookie(method).await.refuses(403, "csrf", msg);
            by_cookie(method).header("x-csrf-token", "wrong").await.refuses(403, "csrf", msg);
            assert_eq!(by_cookie(method).header("x-csrf-token", &csrf).await.status, 200);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_may_come_by_any_method_and_never_without_rules() {
    let (world, _rules) = world(&[]).await;
    let plain = world.login_as(PLAIN).await.access;
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        let ask = world.resource().ask(method, "/auth").header("x-original-method", "GET");
        assert_eq!(ask.header("x-original-uri", "/app").bearer(&plain).await.status, 200);
    }
    world.stop().await;
    let off = World::new().await;
    off.resource().get("/auth").await.refuses(404, "not_found", "There is nothing here");
    off.stop().await;
}

/// The rules of README.md.
const README: &str = r#"
[[rules]]
path = "/static/**"
access = "public"

[[rules]]
path = "/admin/**"
roles = ["admin"]
max_age = "1h"

[[rules]]
path = "/**"
"#;

async fn world_by(rules: &str, more: &[(&str, &str)]) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    fs::write(&path, rules).unwrap();
    let own = [("RESOURCE_FORWARD_AUTH_RULES", path.to_str().unwrap())];
    let (world, _) = world(&[&own, more].concat()).await;
    (world, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_passes_by_the_readmes_rule_for_admins() {
    let (world, _rules) = world_by(README, &[]).await;
    let (admin, plain) = (world.login().await.access, world.login_as(PLAIN).await.access);
    for target in [
        "/admin%3Fx",
        "/admin%3fx",
        "/admin%3F",
        "/admin%23x",
        "/admin%23",
        "/admin%2Fusers",
        "/admin%2fusers",
        "/admin%5Cusers",
        "/admin%5cusers",
        "/admin\\users",
        "/admin%2E",
        "/admin%2e/users",
        "/admin%3Bx",
        "/admin;x",
        "/admin;/users",
        "/admin%00",
        "/admin%00/users",
        "/admin%09",
        "/admin%0A",
        "/admin%0d%0a",
        "/admin%7F/users",
        "/admin%C2%85",
        "/admin%252Fusers",
        "/admin%253Fx",
        "/admin%25%32%46users",
        "/admin%u002fusers",
        "/admin%c0%afusers",
        "/admin%e0%80%af",
        "/admin%ff",
        "/admin%",
        "/admin%2",
        "//admin/users",
        "///admin",
        "/./admin",
        "/x/../admin",
        "/x/./../admin/",
        "/x//../admin",
        "/%2e/admin",
        "/x/%2E%2e/admin",
        "/static/../admin/users",
        "/static/..%2fadmin",
        "/static/%252e%252e/admin",
        "/admin.",
        "/admin./users",
        "/admin../users",
        "/admin%20",
        "/admin%20/users",
        "/%20admin",
        "/admin%C2%A0/users",
        "/%EF%BD%81dmin/users",
        "/%EF%BD%81%EF%BD%84%EF%BD%8D%EF%BD%89%EF%BD%8E",
        "/admin%EF%BC%8Fusers",
        "/admin%EF%BC%BCusers",
        "/admin%EF%BC%9Fx",
        "/x/%EF%BC%8E%EF%BC%8E/admin",
        "/x/%E2%80%A5/admin",
        "/ad%E2%80%8Bmin",
        "/ad%C2%ADmin/users",
        "/%EF%BB%BFadmin",
        "/admin%E2%80%AE",
        "/admin::$DATA",
        "/admin::$INDEX_ALLOCATION/users",
    ] {
        is_closed(&nginx(&world, "GET", target).bearer(&plain).await);
        is_closed(&traefik(&world, "GET", target).await);
    }
    // A rule that guards also guards other cases.
    for target in
        ["/ADMIN", "/Admin/users", "/aDMIN/users", "/%41dmin", "/%61DMIN/x", "/admin/USERS", "/ADMIN/"]
    {
        let answer = nginx(&world, "GET", target).bearer(&plain).await;
        answer.challenges(AUDIENCE, 403, "insufficient_scope", "The role admin is required", &[]);
        nginx(&world, "GET", target).await.misses_a_token(AUDIENCE);
        assert_eq!(nginx(&world, "GET", target).bearer(&admin).await.status, 200, "{target}");
    }
    // A rule that opens does not.
    nginx(&world, "GET", "/STATIC/x").await.misses_a_token(AUDIENCE);
    for target in ["/static/a.b/caf%C3%A9", "/static/x%20y", "/static/100%25", "/static//x", "/static/a/../b"]
    {
        assert_eq!(nginx(&world, "GET", target).await.status, 200, "{target}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_asks_for_another_method_has_to_be_let_in_by_both() {
    let (world, _rules) = world(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let reader = world.auth().post("/oauth/token").basic(tests::world::MUTE);
    let reader = reader.form(&[("grant_type", "client_credentials")]).await.is(200);
    let reader = reader["access_token"].as_str().unwrap();
    let get = |target: &str| nginx(&world, "GET", target).bearer(reader);
    let msg = "The token lacks the scope documents:write";
    for name in ["x-http-method-override", "x-http-method", "x-method-override", "x_http_method_override"] {
        for method in ["DELETE", "delete", "PUT", "PATCH"] {
            let answer = get("/documents/7").header(name, method).await;
            answer.challenges(AUDIENCE, 403, "insufficient_scope", msg, &[("scope", "documents:write")]);
        }
        assert_eq!(get("/documents/7").header(name, "HEAD").await.status, 200);
        is_closed(&get("/documents/7").header(name, "DELETE, GET").await);
    }
    for query in ["_method=DELETE", "a=1&_method=put", "%5fmethod=PATCH", ".method=DELETE"] {
        let answer = get(&format!("/documents/7?{query}")).await;
        answer.challenges(AUDIENCE, 403, "insufficient_scope", msg, &[("scope", "documents:write")]);
    }
    // Not every framework takes `delete` for another method than DELETE.
    for method in ["delete", "Put", "pATCH"] {
        let answer = nginx(&world, method, "/documents/7").bearer(reader).await;
        answer.challenges(AUDIENCE, 403, "insufficient_scope", msg, &[("scope", "documents:write")]);
    }
    // By cookie an unsafe method needs the CSRF value, however it is asked for.
    let (cookie, csrf) = by_cookie(&world).await;
    let by_cookie = |target: &str| nginx(&world, "GET", target).header("cookie", &cookie);
    assert_eq!(by_cookie("/app/x").await.status, 200);
    assert_eq!(by_cookie("/app/x?_method=DELETE").await.status, 403);
    assert_eq!(by_cookie("/app/x").header("x-http-method-override", "POST").await.status, 403);
    assert_eq!(by_cookie("/app/x?_method=DELETE").header("x-csrf-token", &csrf).await.status, 200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_by_cookie_has_to_come_from_a_page_of_its_host_or_of_an_allowed_origin() {
    let more =
        [("RESOURCE_TOKEN_LOCATIONS", "header,cookie"), ("RESOURCE_CORS_ORIGINS", "https://www.example.com")];
    let (world, _rules) = world(&more).await;
    let (cookie, csrf) = by_cookie(&world).await;
    let plain = world.login_as(PLAIN).await.access;
    for key in [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-version", "13")] {
        // The proxy names the host that the client asked.
        let handshake = |target: &str| {
            let ask = nginx(&world, "GET", target).header(key.0, key.1);
            ask.header("x-forwarded-host", "app.example.com")
        };
        let by_cookie = || handshake("/app/socket").header("cookie", &cookie);
        for origin in ["https://app.example.com", "https://APP.example.com", "https://www.example.com"] {
            let answer = by_cookie().header("origin", origin).await;
            assert_eq!(answer.status, 200, "{origin}");
        }
        let msg = "A WebSocket by cookie has to come from a page of this host, or repeat the csrf value in X-CSRF-Token";
        for origin in [
            "https://evil.example",
            "https://other.example.com",
            "https://example.com",
            "https://app.example.com.evil.example",
            "https://app.example.com:8443",
            "http://www.example.com",
            "null",
            "",
        ] {
            by_cookie().header("origin", origin).await.refuses(403, "csrf", msg);
        }
        by_cookie().await.refuses(403, "csrf", msg);
        assert_eq!(by_cookie().header("x-csrf-token", &csrf).await.status, 200);
        // A header is sent by no browser unasked.
        assert_eq!(handshake("/app/socket").bearer(&plain).await.status, 200);
        assert_eq!(handshake("/public/socket").header("cookie", &cookie).await.status, 200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_names_another_path_closes_the_request() {
    let (world, _rules) = world(&[]).await;
    let plain = world.login_as(PLAIN).await.access;
    for name in ["x-original-url", "x-rewrite-url", "X_Original_URL", "x.rewrite.url"] {
        for path in ["/admin/users", "https://app.example.com/admin/users", "//admin", ""] {
            is_closed(&nginx(&world, "GET", "/app/x").bearer(&plain).header(name, path).await);
            is_closed(&traefik(&world, "GET", "/public/x").header(name, path).await);
        }
        // So does the ingress controller of Kubernetes.
        for path in ["/app/x?a=1", "https://app.example.com/app/x?a=1"] {
            let answer = nginx(&world, "GET", "/app/x?a=1").bearer(&plain).header(name, path).await;
            assert_eq!(answer.status, 200, "{name}: {path}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_an_identity_header_is_refused() {
    let (world, _rules) = world(&[]).await;
    let plain = world.login_as(PLAIN).await;
    for alias in [
        "X_Auth_Roles",
        "X-Auth_Roles",
        "x_auth-roles",
        "X.Auth.Roles",
        "x-auth.roles",
        "X~Auth~Subject",
        "X!Auth!Email",
        "X+Auth+Scope",
        "x|auth|client",
        "x`auth`client",
        "X_AUTH_CLIENT",
    ] {
        is_closed(&nginx(&world, "GET", "/app").bearer(&plain.access).header(alias, "root").await);
        is_closed(&nginx(&world, "GET", "/public/x").header(alias, "root").await);
    }
    for other in ["X-Auth-Roles", "x-auth-token", "X-Author", "x_authenticated_by"] {
        let answer = nginx(&world, "GET", "/app").bearer(&plain.access).header(other, "root").await;
        lets_in(&answer, &subject(&plain), PLAIN.0, "");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_cookie_counts_as_absent_on_an_optional_path() {
    let (world, _rules) = world(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let (cookie, _) = by_cookie(&world).await;
    let plain = world.login_as(PLAIN).await.access;
    world.pass(std::time::Duration::from_mins(20));
    lets_in(&nginx(&world, "GET", "/welcome").header("cookie", &cookie).await, "", "", "");
    lets_in(&nginx(&world, "POST", "/welcome").header("cookie", &cookie).await, "", "", "");
    let answer = nginx(&world, "GET", "/welcome").bearer(&plain).await;
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    let answer = nginx(&world, "GET", "/app").header("cookie", &cookie).await;
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    let broken = nginx(&world, "GET", "/welcome").header("cookie", "__Host-access_token=broken").await;
    broken.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
    world.stop().await;
}
