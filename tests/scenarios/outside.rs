//! Headers that others write into too: other programs of the domain, browsers, proxies. What can't be read costs nobody a
//! login, and makes nobody somebody else.

use std::time::Duration;

use countermark::issuer::introspection::{IntrospectionClient, IntrospectionConfig, IntrospectionError};
use serde_json::{Value, json};
use tests::{
    Answer, Http, World,
    alone::Alone,
    http::Ask,
    issuer::{FakeIssuer, Mode},
    process::{AUTH, Process, RESOURCE, Start},
    until,
    world::{ADMIN, AUDIENCE, BILLING, ISSUER, PLAIN, Tokens},
};
use zeroize::Zeroizing;

/// Cookies of other programs.
const OTHERS: [&[u8]; 32] = [
    b"utm=Unders\xc3\xb8gelse",
    b"utm=Unders\xf8gelse",
    b"utm=\xff\xfe\x80",
    b"\xfc=1",
    b"utm=\"a, b\"",
    b"utm=\"open",
    b"utm=close\"",
    b"utm=\"",
    b"utm=a\\\"b",
    b"utm=a,b,c",
    b"utm=a b c",
    b"utm={\"a\":1}",
    b"utm=%",
    b"utm=%zz",
    b"utm==",
    b"=utm",
    b"=",
    b"utm",
    b"a;;;b",
    b"$Version=1; $Path=/",
    b"__Host-access_token",
    b"__Host-access_token=",
    b"__Host-access_token=\"\"",
    b"__Host-access_token=\xff",
    b"__Secure-access_token=\xff",
    b"__Secure-refresh_token",
    b"__Secure-refresh_token=",
    b"__Secure-refresh_token=\xff",
    b"__host-access_token=other",
    b"x__Host-access_token=other",
    b"a=1, __Host-access_token=other",
    b"utm=\x80\x81\x82; gclid=\xe4\xf6\xfc",
];

/// What a browser has after a login.
struct Browser {
    access: String,
    refresh: String,
    csrf: String,
}

impl Browser {
    async fn at(world: &World) -> Self {
        let login = json!({"email": PLAIN.0, "password": PLAIN.1, "delivery": "cookie"});
        Self::of(&world.auth().post("/login").json(&login).await)
    }

    fn of(answer: &Answer) -> Self {
        let cookie = |name: &str| {
            let mut cookies =
                answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
            let cookie = cookies.find(|value| value.starts_with(name)).expect("the cookie");
            cookie.split(';').next().unwrap().to_owned()
        };
        Self {
            access: cookie("__Host-access_token="),
            refresh: cookie("__Secure-refresh_token="),
            csrf: answer.is(200)["csrf"].as_str().unwrap().to_owned(),
        }
    }
}

/// The request with that cookie, and the cookie of another program before, behind, or in a line of its own.
fn beside(ask: impl Fn() -> Ask, cookie: &str, other: &[u8]) -> [Ask; 3] {
    let (cookie, between) = (cookie.as_bytes(), b"; ".as_slice());
    [
        ask().header("cookie", [other, between, cookie].concat()),
        ask().header("cookie", [cookie, between, other].concat()),
        ask().header("cookie", other).header("cookie", cookie),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_other_programs_take_nobodys_login_away() {
    let world =
        World::with(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie"), ("AUTH_REFRESH_GRACE", "1h")]).await;
    let browser = Browser::at(&world).await;
    let bearer = world.login_as(PLAIN).await.access;
    let (auth, resource) = (world.auth(), world.resource());
    for other in OTHERS {
        let shown = String::from_utf8_lossy(other);
        for ask in beside(|| auth.get("/me"), &browser.access, other) {
            assert_eq!(ask.await.status, 200, "/me: {shown}");
        }
        for ask in beside(|| resource.get("/protected-route"), &browser.access, other) {
            assert_eq!(ask.await.status, 200, "/protected-route: {shown}");
        }
        let expired = || resource.post("/expired").header("x-csrf-token", &browser.csrf);
        for ask in beside(expired, &browser.access, other) {
            assert_eq!(ask.await.status, 200, "/expired: {shown}");
        }
        let refresh = || auth.post("/refresh").header("x-csrf-token", &browser.csrf);
        for ask in beside(refresh, &browser.refresh, other) {
            assert_eq!(ask.await.status, 200, "/refresh: {shown}");
        }
        // Odd bytes in other headers take no bearer token away.
        let ask = resource.get("/protected-route").bearer(&bearer).header("cookie", other);
        let ask =
            ask.header("referer", other).header("accept-language", other).header("x-forwarded-for", other);
        assert_eq!(ask.header("forwarded", other).header("accept", other).await.status, 200, "{shown}");
        // Alone it is no token.
        resource.get("/protected-route").header("cookie", other).await.misses_a_token(AUDIENCE);
    }
    // Another host of the domain can add a cookie of the same name, and it may come first.
    let refresh = auth.post("/refresh").header("x-csrf-token", &browser.csrf);
    let cookies = format!("__Secure-refresh_token=rt_AAEAAA; __Secure-refresh_token=x; {}", browser.refresh);
    assert_eq!(refresh.header("cookie", cookies).await.status, 200);
    let cookies = format!("__Host-access_token=a.b.c; {}", browser.access);
    assert_eq!(auth.get("/me").header("cookie", &cookies).await.status, 200);
    assert_eq!(resource.get("/protected-route").header("cookie", &cookies).await.status, 200);
    let logout = || auth.post("/logout").header("x-csrf-token", &browser.csrf);
    let [first, ..] = beside(logout, &browser.access, OTHERS[1]);
    assert_eq!(first.await.status, 200);
    world.stop().await;
}

/// Tries a wrong password as the client whose address the proxy writes like that.
async fn guess(world: &World, header: &str, forwarded: &[u8]) -> u16 {
    let wrong = json!({"email": "nobody@example.com", "password": "a wrong pass phrase"});
    world.auth().post("/login").header(header, forwarded).json(&wrong).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_counts_as_itself_however_its_proxy_writes_its_address() {
    let world = World::with(&[
        ("AUTH_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8"),
        ("AUTH_LOGIN_LIMITS", "account=1000/min,address=3/min,global=off"),
    ])
    .await;
    let clients: [(&str, [&[u8]; 4]); 4] = [
        (
            "x-forwarded-for",
            [
                b"203.0.113.7:51234",
                b"203.0.113.7",
                b"::ffff:203.0.113.7",
                b"6.6.6.6, 203.0.113.7:80, 10.0.0.1:443",
            ],
        ),
        (
            "x-forwarded-for",
            [b"[2001:db8::1]:4711", b"2001:db8::2", b"\"[2001:db8::3]\"", b"\xff, unknown, [2001:db8::1]:1"],
        ),
        (
            "forwarded",
            [
                b"for=\"[2001:db8:9::1]:4711\"",
                b"For=\"[2001:db8:9::1]\";proto=https",
                b"for=\", for=\"[2001:db8:9::7]\"",
                b"for=6.6.6.6, for=\"[2001:db8:9::1]\", for=10.1.1.1",
            ],
        ),
        // Clients without a readable address count as the proxy, all together, and never as somebody else.
        (
            "x-forwarded-for",
            [b"unknown", b"203.0.113.7, _hidden", b"203.0.113.7, ", b"198.51.100.1, 10.0.0.1, -"],
        ),
    ];
    for (header, spellings) in clients {
        for (tries, spelling) in spellings.iter().enumerate() {
            let expected = if tries < 3 { 401 } else { 429 };
            let shown = String::from_utf8_lossy(spelling);
            assert_eq!(guess(&world, header, spelling).await, expected, "{header}: {shown}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_behind_a_proxy_that_writes_ports_do_not_lock_the_next_one_out() {
    let world = World::with(&[
        ("AUTH_TRUSTED_PROXIES", "127.0.0.1"),
        ("AUTH_LOGIN_LIMITS", "account=1000/min,address=10/min,global=off"),
    ])
    .await;
    for client in 1..=12 {
        assert_eq!(
            guess(&world, "x-forwarded-for", format!("203.0.113.{client}:5{client:04}").as_bytes()).await,
            401
        );
    }
    let login = json!({"email": PLAIN.0, "password": PLAIN.1});
    let login = world.auth().post("/login").header("x-forwarded-for", "203.0.113.99:51234").json(&login);
    let tokens = Tokens::of(&login.await);
    let sessions = world.auth().get("/sessions").bearer(&tokens.access).await.is(200);
    assert!(sessions.to_string().contains("\"203.0.113.99\""), "{sessions}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_cookie_counts_as_absent_where_a_token_is_optional_and_nothing_else_does() {
    let world = World::with(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let browser = Browser::at(&world).await;
    let tokens = world.login_as(PLAIN).await;
    let optional = || world.resource().get("/optional");
    let name = |answer: &Answer| answer.is(200)["logged_in_as"].clone();
    assert_eq!(name(&optional().header("cookie", &browser.access).await), json!(PLAIN.0));
    world.pass(Duration::from_mins(20));
    assert_eq!(name(&optional().header("cookie", &browser.access).await), Value::Null);
    let expired = optional().bearer(&tokens.access).await;
    expired.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    let protected = world.resource().get("/protected-route").header("cookie", &browser.access).await;
    protected.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    let broken = optional().header("cookie", "__Host-access_token=broken").await;
    broken.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
    // A revoked one is refused.
    let browser = Browser::at(&world).await;
    let logout = world.auth().post("/logout?wait=true").header("cookie", &browser.access);
    logout.header("x-csrf-token", &browser.csrf).await.is(200);
    let revoked = optional().header("cookie", &browser.access).await;
    revoked.challenges(AUDIENCE, 401, "invalid_token", "The token has been revoked", &[]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_another_host_of_the_cookies_domain_gets_its_csrf_value() {
    const PAGE: &str = "https://www.example.com";
    let world = World::with(&[("AUTH_CORS_ORIGINS", PAGE)]).await;
    let browser = Browser::at(&world).await;
    let ask = || world.auth().get("/csrf").header("cookie", &browser.access);
    let answer = ask().header("origin", PAGE).await;
    assert_eq!(answer.is(200), json!({"csrf": browser.csrf}));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(ask().header("sec-fetch-site", "same-origin").await.status, 200);
    let msg = "The CSRF value is for pages of this host and of the origins in AUTH_CORS_ORIGINS";
    for origin in
        ["https://evil.example", "https://www.example.com.evil.example", "http://www.example.com", "null", ""]
    {
        let answer = ask().header("origin", origin).header("sec-fetch-site", "same-origin").await;
        answer.refuses(403, "origin_not_allowed", msg);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    ask().await.refuses(403, "origin_not_allowed", msg);
    ask().header("sec-fetch-site", "same-site").await.refuses(403, "origin_not_allowed", msg);
    ask().header("origin", PAGE).header("origin", PAGE).await.refuses(403, "origin_not_allowed", msg);
    // It needs the cookie: a header is no cookie, and a token that was not made for cookies has no such value.
    let get = || world.auth().get("/csrf").header("origin", PAGE);
    get().await.misses_a_token(ISSUER);
    let tokens = world.login_as(PLAIN).await;
    get().bearer(&tokens.access).await.misses_a_token(ISSUER);
    let plain = get().header("cookie", format!("__Host-access_token={}", tokens.access)).await;
    assert_eq!((plain.status, plain.json()["error"].clone()), (403, json!("csrf")));
    // The cookie outlives its token, and the page needs the value to refresh.
    world.pass(Duration::from_mins(20));
    assert_eq!(ask().header("origin", PAGE).await.is(200), json!({"csrf": browser.csrf}));
    let refresh = world.auth().post("/refresh").header("cookie", &browser.refresh);
    refresh.header("x-csrf-token", &browser.csrf).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_read_where_its_document_is() {
    let origin = "https://www.example.com";
    let world = World::with(&[("RESOURCE_CORS_ORIGINS", origin)]).await;
    let tokens = world.login().await;
    let document = json!({"title": "Hello", "body": "there"});
    let created = world.resource().post("/documents").bearer(&tokens.access).json(&document);
    let created = created.header("origin", origin).await;
    created.is(201);
    let exposed = created.header("access-control-expose-headers").unwrap();
    assert!(exposed.split(',').any(|name| name.trim() == "location"), "{exposed}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cache_keeps_an_answer_about_claims_or_documents_whatever_its_status_is() {
    let world = World::new().await;
    let token = world.login().await.access;
    let resource = world.resource();
    let document = json!({"title": "Hello", "body": "there"});
    let created = resource.post("/documents").bearer(&token).json(&document).await;
    let path = created.header("location").unwrap().to_owned();
    for (ask, status) in [
        (resource.get("/claims").bearer(&token), 200),
        (resource.get("/claims"), 401),
        (resource.post("/claims").bearer(&token), 405),
        (resource.delete("/documents").bearer(&token), 405),
        (resource.post(&path).bearer(&token), 405),
        (resource.get(&path).bearer(&token), 200),
        (resource.get("/documents/none").bearer(&token), 404),
        (resource.get("/documents?limit=x").bearer(&token), 400),
        (resource.post("/documents").bearer(&token).body("application/json", vec![b'x'; 70_000]), 413),
    ] {
        let answer = ask.await;
        assert_eq!((answer.status, answer.header("cache-control")), (status, Some("no-store")), "{answer:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_introspection_is_signed_when_the_client_likes_that_best() {
    const SIGNED: &str = "application/token-introspection+jwt";
    let world = World::new().await;
    let token = world.login().await.access;
    let media_type = async |accept: &[u8]| {
        let ask = world.auth().post("/oauth/introspect").basic(BILLING).header("accept", accept);
        let answer = ask.form(&[("token", &token)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("content-type").unwrap().to_owned()
    };
    for accept in [
        b"application/token-introspection+jwt".as_slice(),
        b"APPLICATION/token-introspection+JWT",
        b"application/token-introspection+jwt;q=0.1",
        b"application/json;q=0.9, application/token-introspection+jwt",
        b"application/token-introspection+jwt, application/json",
        b"application/token-introspection+jwt, */*;q=0.1",
        b"text/\xfc, application/token-introspection+jwt",
        b"\xff\xfe,application/token-introspection+jwt",
    ] {
        assert_eq!(media_type(accept).await, SIGNED, "{}", String::from_utf8_lossy(accept));
    }
    for accept in [
        b"application/json".as_slice(),
        b"*/*",
        b"application/*",
        b"",
        b"\xff",
        b"application/token-introspection+jwt;q=0",
        b"application/token-introspection+jwt;q=0.000, */*",
        b"application/token-introspection+jwt;q=0.5, application/json",
        b"application/token-introspection+jwt;q=0.5, */*",
        b"application/token-introspection+jwt;q=2",
    ] {
        assert_eq!(media_type(accept).await, "application/json", "{}", String::from_utf8_lossy(accept));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_does_not_apply_to_the_issuers_keys() {
    let world = World::of_auth_alone(&[]).await;
    let nowhere = "http://127.0.0.1:1";
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let start = Start::of(RESOURCE).envs(world.resource_settings());
    let service = start.envs(names.map(|name| (name, nowhere))).listen().await;
    is_ready(&service.ops()).await;
    service.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_through_a_proxy_when_the_setting_says_so() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![tests::jws::RsaKey::generate().jwk()])).await;
    // The fake issuer is the proxy, too: it answers for a host that does not exist.
    let proxy = issuer.url();
    let settings = [("RESOURCE_JWKS_PROXY", proxy.as_str()), ("RESOURCE_AUTH_URL", "http://issuer.invalid")];
    Alone::ready(&issuer, &settings).await.stop().await;
}

async fn is_ready(ops: &Http) {
    until("the service is ready", async || (ops.get("/health/ready").await.status == 200).then_some(()))
        .await;
}

/// Waits until the log of the process has a line with that text.
async fn logs(process: &Process, text: &str) {
    until(text, async || process.stderr().contains(text).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_what_is_wrong_with_a_watchers_secret_or_address() {
    let world = World::of_auth_alone(&[]).await;
    let start = || Start::of(RESOURCE).envs(world.resource_settings());
    let wrong =
        start().env("RESOURCE_CLIENT_SECRET", "wrong-secret-wrong-secret-wrong-secret").listen().await;
    logs(&wrong, "the client id or its secret is wrong").await;
    wrong.stop().await;
    // A port that speaks HTTP/2, too, and one that does not.
    let old = FakeIssuer::start(Mode::Status(404)).await;
    for http in [format!("http://{}", world.auth().address), old.url()] {
        let wrong = start().env("RESOURCE_AUTH_GRPC", http).listen().await;
        logs(&wrong, "no gRPC port; perhaps it is the issuer's HTTP port").await;
        wrong.stop().await;
    }
    let secret = || Zeroizing::new(BILLING.1.to_owned());
    let asked = async |url: String, secret: Zeroizing<String>| {
        let config = IntrospectionConfig::new(url, BILLING.0, secret);
        IntrospectionClient::new(&config).unwrap().introspect("x").await
    };
    let grpc = format!("http://{}", world.auth_grpc);
    assert_eq!(asked(grpc.clone(), secret()).await, Ok(None));
    let wrong = asked(grpc, Zeroizing::new("wrong".to_owned())).await;
    assert_eq!(wrong, Err(IntrospectionError::Unauthenticated));
    for http in [format!("http://{}", world.auth().address), old.url()] {
        // A peer that closes before its bytes were read is unavailable, as far as anyone can tell.
        until("it is called no gRPC port", async || match asked(http.clone(), secret()).await {
            Err(IntrospectionError::NotGrpc) => Some(()),
            Err(IntrospectionError::Unavailable(_)) => None,
            other => panic!("{other:?}"),
        })
        .await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_a_proxy_that_is_not_trusted_once_and_a_missing_csrf_value_as_missing() {
    let world = World::of_auth_alone(&[]).await;
    let process = Start::of(AUTH).envs(world.auth_settings()).listen().await;
    for _ in 0..3 {
        process.http().get("/me").header("x-forwarded-for", "203.0.113.7").await;
    }
    let login = json!({"email": ADMIN.0, "password": ADMIN.1, "delivery": "cookie"});
    let browser = Browser::of(&process.http().post("/login").json(&login).await);
    let refresh = || process.http().post("/refresh").header("cookie", &browser.refresh);
    assert_eq!(refresh().await.status, 403);
    logs(&process, "the CSRF value is missing").await;
    assert!(!process.stderr().contains("the CSRF value is wrong"), "{}", process.stderr());
    assert_eq!(refresh().header("x-csrf-token", "x").await.status, 403);
    logs(&process, "the CSRF value is wrong").await;
    let ended = process.stop().await;
    let warnings = ended.stderr.lines().filter(|line| line.contains("is not trusted: the header is ignored"));
    assert_eq!(warnings.count(), 1, "{}", ended.stderr);
    world.stop().await;
}
