//! The locations of a token in a request.

use serde_json::{Value, json};
use tests::{
    Answer, World,
    forge::with,
    world::{ADMIN, AUDIENCE},
};

const SEVERAL: &str = "The request has more than one access token; send exactly one";

#[track_caller]
fn several(answer: &Answer) {
    answer.challenges(AUDIENCE, 400, "invalid_request", SEVERAL, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_a_token_counts_in_the_header_alone() {
    let world = World::new().await;
    let token = world.login().await.access;
    let http = world.resource();
    http.get(&format!("/protected-route?access_token={token}")).await.misses_a_token(AUDIENCE);
    for cookie in ["__Host-access_token", "__Secure-access_token", "access_token"] {
        let ask = http.get("/protected-route").header("cookie", format!("{cookie}={token}"));
        ask.await.misses_a_token(AUDIENCE);
    }
    let json = http.post("/expired").json(&json!({"access_token": token})).await;
    json.misses_a_token(AUDIENCE);
    let form = format!("access_token={token}");
    let form = http.post("/expired").body("application/x-www-form-urlencoded", form).await;
    form.misses_a_token(AUDIENCE);
    // A token in a location that does not count is not an additional token.
    http.get(&format!("/protected-route?access_token={token}&access_token=x")).bearer(&token).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_is_bearer_in_any_case_and_no_other() {
    let world = World::new().await;
    let token = world.login().await.access;
    let protected = || world.resource().get("/protected-route");
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        protected().header("authorization", format!("{scheme} {token}")).await.is(200);
    }
    protected().header("authorization", format!("Bearer   {token}")).await.is(200);
    for value in [format!("Basic {token}"), format!("Token {token}"), format!("DPoP {token}"), token.clone()]
    {
        protected().header("authorization", value).await.misses_a_token(AUDIENCE);
    }
    for value in ["Bearer", "Bearer ", "Bearer  "] {
        let answer = protected().header("authorization", value).await;
        answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
    }
    for value in [format!("Bearer {token} {token}"), format!("Bearer {token}, Bearer {token}")] {
        let answer = protected().header("authorization", value).await;
        answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_authorization_headers_are_400_whatever_is_in_them() {
    let world = World::new().await;
    let token = world.login().await.access;
    for path in ["/protected-route", "/optional", "/fresh", "/claims", "/admin", "/documents"] {
        for other in
            [format!("Bearer {token}"), "Bearer x".to_owned(), "Basic eDp5".to_owned(), String::new()]
        {
            several(&world.resource().get(path).bearer(&token).header("authorization", other).await);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_that_is_switched_on_counts() {
    let world = World::with(&[("RESOURCE_TOKEN_LOCATIONS", "header,query,json,form")]).await;
    let token = world.login().await.access;
    let http = world.resource();
    let expected = json!({"logged_in_as": ADMIN.0});
    let query = format!("/protected-route?access_token={token}");
    assert_eq!(http.get(&query).await.is(200), expected);
    assert_eq!(http.get("/protected-route").bearer(&token).await.is(200), expected);
    let in_body = json!({"access_token": token});
    assert_eq!(http.post("/expired").json(&in_body).await.is(200), json!({"expires_in": 900}));
    let in_form = http.post("/expired").form(&[("access_token", &token)]);
    assert_eq!(in_form.await.is(200), json!({"expires_in": 900}));
    // The route does not see the token in the body.
    let document = json!({"access_token": token, "title": "t", "body": "b"});
    assert_eq!(http.post("/documents").json(&document).await.is(201)["title"], json!("t"));

    several(&http.get(&query).bearer(&token).await);
    several(&http.get(&format!("{query}&access_token={token}")).await);
    several(&http.post("/expired").bearer(&token).json(&in_body).await);
    several(&http.post("/expired").bearer(&token).form(&[("access_token", &token)]).await);
    several(&http.post("/expired").form(&[("access_token", &token), ("access_token", &token)]).await);
    several(&http.post(&format!("/expired?access_token={token}")).json(&in_body).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shared_cache_keeps_the_answer_to_a_token_in_the_query() {
    let world = World::with(&[("RESOURCE_TOKEN_LOCATIONS", "header,query")]).await;
    let token = world.login().await.access;
    let http = world.resource();
    let routes = ["/protected-route", "/optional", "/fresh", "/admin", "/claims", "/documents"];
    for (path, expected) in routes.into_iter().zip(["private"; 4].into_iter().chain(["no-store"; 2])) {
        let answer = http.get(&format!("{path}?access_token={token}")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some(expected)), "{path}");
    }
    // A token in the header prevents shared caching by itself (RFC 9111 §3.5).
    let answer = http.get("/protected-route?a=1").bearer(&token).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, None));
    let answer = http.get("/protected-route?access_token=x").await;
    assert_eq!((answer.status, answer.header("cache-control")), (401, None));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_can_be_switched_off() {
    let world = World::with(&[("RESOURCE_TOKEN_LOCATIONS", "query")]).await;
    let token = world.login().await.access;
    world.protected(&token).await.misses_a_token(AUDIENCE);
    world.resource().get(&format!("/protected-route?access_token={token}")).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_counts_when_nothing_else_does_and_unsafe_methods_repeat_its_value() {
    let world = World::with(&[("RESOURCE_TOKEN_LOCATIONS", "cookie,header")]).await;
    let (admin, plain) = (world.login().await, world.login_as(tests::world::PLAIN).await.access);
    let token = world.forge().token(&with(&admin.claims(), &[("csrf", json!("the-value"))]));
    let http = world.resource();
    let cookie = |name: &str, token: &str| format!("theme=dark; {name}={token}; other=1");
    let expected: Value = json!({"logged_in_as": ADMIN.0});
    for name in ["__Host-access_token", "__Secure-access_token"] {
        let answer = http.get("/protected-route").header("cookie", cookie(name, &token)).await;
        assert_eq!(answer.is(200), expected);
    }
    let unprefixed = http.get("/protected-route").header("cookie", cookie("access_token", &token)).await;
    unprefixed.misses_a_token(AUDIENCE);
    let both = http.get("/protected-route").header("cookie", cookie("__Host-access_token", &token));
    assert_ne!(both.bearer(&plain).await.is(200), expected, "the header wins, and two are no error");

    let write = |token: &str| http.post("/expired").header("cookie", cookie("__Host-access_token", token));
    let msg = "A request by cookie has to repeat the csrf value of the login in X-CSRF-Token";
    write(&token).await.refuses(403, "csrf", msg);
    write(&token).header("x-csrf-token", "another").await.refuses(403, "csrf", msg);
    write(&token).header("x-csrf-token", "").await.refuses(403, "csrf", msg);
    write(&token).header("x-csrf-token", "the-value").await.is(200);
    // A token that was not delivered by cookie has no CSRF value. It cannot be used by cookie for unsafe methods.
    write(&admin.access).header("x-csrf-token", "").await.refuses(403, "csrf", msg);
    http.post("/expired").bearer(&admin.access).await.is(200);
    world.stop().await;
}
