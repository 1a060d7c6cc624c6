//! Tokens in cookies, for browsers.

use std::time::Duration;

use serde_json::json;
use tests::{
    Answer, World,
    world::{ADMIN, AUDIENCE, ISSUER},
};

const EVERYWHERE: (&str, &str) = ("RESOURCE_TOKEN_LOCATIONS", "header,cookie");

/// The cookies of an answer: name, value and attributes of each.
fn cookies(answer: &Answer) -> Vec<(String, String, String)> {
    let parse = |cookie: &str| {
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned(), attributes.to_owned())
    };
    answer.headers.get_all("set-cookie").iter().map(|value| parse(value.to_str().unwrap())).collect()
}

async fn login(world: &World) -> Answer {
    let body = json!({"email": ADMIN.0, "password": ADMIN.1, "delivery": "cookie"});
    world.auth().post("/login").json(&body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_cookie_keeps_both_tokens_out_of_the_body() {
    let world = World::new().await;
    let answer = login(&world).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.is(200);
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["csrf", "expires_in", "refresh_expires_in", "scope"]);
    let [access, refresh] = &cookies(&answer)[..] else { panic!("two cookies") };
    assert_eq!((access.0.as_str(), refresh.0.as_str()), ("__Host-access_token", "__Secure-refresh_token"));
    assert_eq!(access.2, "Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax");
    assert_eq!(refresh.2, "Path=/refresh; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict");
    assert_eq!(tests::jws::payload(&access.1)["csrf"], body["csrf"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_domain_the_access_cookie_is_the_domains_and_the_refresh_cookie_never() {
    let world =
        World::with(&[("AUTH_COOKIE_DOMAIN", "example.com"), ("AUTH_ISSUER", "https://auth.example.com")])
            .await;
    let answer = login(&world).await;
    let [access, refresh, left_over] = &cookies(&answer)[..] else { panic!("three cookies") };
    assert_eq!(access.0, "__Secure-access_token");
    assert!(access.2.ends_with("; SameSite=Lax; Domain=example.com"), "{}", access.2);
    assert!(!refresh.2.contains("Domain"), "{}", refresh.2);
    // An access cookie from before the domain was set would take precedence, so it is cleared.
    let left_over = (left_over.0.as_str(), left_over.1.as_str(), left_over.2.as_str());
    assert_eq!(left_over, ("__Host-access_token", "", "Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_logs_out_with_an_access_token_that_has_expired() {
    let world = World::new().await;
    let first = login(&world).await;
    let csrf = first.is(200)["csrf"].as_str().unwrap().to_owned();
    let [access, refresh] = &cookies(&first)[..] else { panic!("two cookies") };
    // The browser sends the refresh cookie to `/refresh` only. The access cookie must therefore live as long as the
    // refresh cookie.
    let max_age = |cookie: &str| {
        cookie.split("; ").find(|attribute| attribute.starts_with("Max-Age=")).unwrap().to_owned()
    };
    assert_eq!(max_age(&access.2), max_age(&refresh.2));
    world.pass(Duration::from_hours(24 * 29));
    let cookie = format!("{}={}", access.0, access.1);
    let me = world.auth().get("/me").header("cookie", &cookie).await;
    me.challenges(ISSUER, 401, "invalid_token", "The token has expired", &[]);
    let logout = || world.auth().post("/logout").header("cookie", &cookie);
    assert_eq!(logout().await.status, 403);
    logout().header("x-csrf-token", &csrf).await.is(200);
    let cookie = format!("{}={}", refresh.0, refresh.1);
    let refused = world.auth().post("/refresh").header("cookie", cookie).header("x-csrf-token", &csrf).await;
    refused.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_take_the_access_cookie_and_unsafe_methods_need_the_csrf_value() {
    let world = World::with(&[EVERYWHERE]).await;
    let answer = login(&world).await;
    let csrf = answer.is(200)["csrf"].as_str().unwrap().to_owned();
    let cookie = format!("theme=dark; __Host-access_token={}", cookies(&answer)[0].1);
    world.auth().get("/me").header("cookie", &cookie).await.is(200);
    world.resource().get("/protected-route").header("cookie", &cookie).await.is(200);

    let document = json!({"title": "Hello", "body": "by cookie"});
    let post = || world.resource().post("/documents").header("cookie", &cookie).json(&document);
    let msg = "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token";
    post().await.refuses(403, "csrf", msg);
    post().header("x-csrf-token", "wrong").await.refuses(403, "csrf", msg);
    post().header("x-csrf-token", &csrf).await.is(201);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_not_configured_to_takes_no_cookie() {
    let world = World::new().await;
    let cookie = format!("__Host-access_token={}", cookies(&login(&world).await)[0].1);
    world.resource().get("/protected-route").header("cookie", &cookie).await.misses_a_token(AUDIENCE);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_by_cookie_answers_by_cookie_and_the_csrf_value_stays() {
    let world = World::new().await;
    let first = login(&world).await;
    let csrf = first.is(200)["csrf"].as_str().unwrap().to_owned();
    let cookie = format!("__Secure-refresh_token={}", cookies(&first)[1].1);
    let refresh = || world.auth().post("/refresh").header("cookie", &cookie);
    refresh().await.refuses(
        403,
        "csrf",
        "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token",
    );
    let second = refresh().header("x-csrf-token", &csrf).await;
    assert_eq!(second.is(200)["csrf"], json!(csrf));
    assert_eq!(second.is(200)["expires_in"], json!(300));
    let [access, successor] = &cookies(&second)[..] else { panic!("two cookies") };
    assert_ne!(successor.1, cookies(&first)[1].1);
    assert_eq!(tests::jws::payload(&access.1)["csrf"], json!(csrf));
    // A second browser tab refreshes at the same time and gets the same successor.
    let tab = refresh().header("x-csrf-token", &csrf).await;
    assert_eq!(cookies(&tab)[1].1, successor.1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_by_cookie_clears_both_and_so_does_a_refused_refresh() {
    let world = World::new().await;
    let first = login(&world).await;
    let csrf = first.is(200)["csrf"].as_str().unwrap().to_owned();
    let [access, refresh] = &cookies(&first)[..] else { panic!("two cookies") };
    let logout = || world.auth().post("/logout").header("cookie", format!("{}={}", access.0, access.1));
    assert_eq!(logout().await.status, 403);
    let answer = logout().header("x-csrf-token", &csrf).await;
    answer.is(200);
    for cleared in cookies(&answer) {
        assert!(cleared.1.is_empty() && cleared.2.contains("Max-Age=0"), "{cleared:?}");
    }
    let cookie = format!("{}={}", refresh.0, refresh.1);
    let refused = world.auth().post("/refresh").header("cookie", cookie).header("x-csrf-token", &csrf).await;
    refused.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
    assert_eq!(cookies(&refused).len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_beats_a_cookie_and_an_expired_cookie_is_refused() {
    let world = World::with(&[EVERYWHERE]).await;
    let cookie = format!("__Host-access_token={}", cookies(&login(&world).await)[0].1);
    let tokens = world.login().await;
    let both = world.resource().get("/claims").header("cookie", &cookie).bearer(&tokens.access).await;
    assert_eq!(both.is(200)["sid"], tokens.claims()["sid"]);
    world.pass(Duration::from_mins(15));
    let answer = world.auth().get("/me").header("cookie", &cookie).await;
    answer.challenges(ISSUER, 401, "invalid_token", "The token has expired", &[]);
    world.stop().await;
}
