//! The routes of resource-service that require a token.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    World,
    forge::{with, without},
    world::{ADMIN, AUDIENCE, BEGINNING, ISSUER, PLAIN},
};

const INVALID: &str = "The token is invalid";
const EXPIRED: &str = "The token has expired";
const REFRESH: &str = "Only access tokens are accepted";

/// The claims of a service token.
fn service() -> Value {
    json!({
        "iss": ISSUER, "sub": "billing", "aud": AUDIENCE, "client_id": "billing", "jti": "1",
        "iat": BEGINNING, "exp": BEGINNING + 900,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protected_route_says_who_is_logged_in() {
    let world = World::new().await;
    for account in [ADMIN, PLAIN] {
        let token = world.login_as(account).await.access;
        assert_eq!(world.protected(token).await.is(200), json!({"logged_in_as": account.0}));
    }
    let token = world.forge().token(&service());
    assert_eq!(world.protected(token).await.is(200), json!({"logged_in_as": "billing"}));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guarded_route_asks_for_a_token() {
    let world = World::new().await;
    let tokens = world.login().await;
    let stale = world.forge().token(&with(&tokens.claims(), &[("exp", json!(BEGINNING - 1))]));
    let http = world.resource();
    for path in ["/protected-route", "/fresh", "/claims", "/admin", "/documents", "/documents/1"] {
        http.get(path).await.misses_a_token(AUDIENCE);
        let refused = async |token: &str, msg| {
            http.get(path).bearer(token).await.challenges(AUDIENCE, 401, "invalid_token", msg, &[]);
        };
        refused("x", INVALID).await;
        refused(&tokens.refresh, REFRESH).await;
        refused(&stale, EXPIRED).await;
    }
    for (ask, body) in [(http.post("/expired"), None), (http.post("/documents"), Some(json!({"title": "x"})))]
    {
        let ask = if let Some(body) = &body { ask.json(body) } else { ask };
        ask.await.misses_a_token(AUDIENCE);
    }
    http.put("/documents/1").await.misses_a_token(AUDIENCE);
    http.delete("/documents/1").await.misses_a_token(AUDIENCE);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_optional_route_takes_no_token_but_not_a_bad_one() {
    let world = World::new().await;
    let tokens = world.login().await;
    let optional = || world.resource().get("/optional");
    assert_eq!(optional().await.is(200), json!({"logged_in_as": null}));
    assert_eq!(optional().bearer(&tokens.access).await.is(200), json!({"logged_in_as": ADMIN.0}));
    let service = world.forge().token(&service());
    assert_eq!(optional().bearer(service).await.is(200), json!({"logged_in_as": null}));
    let refused = async |token: &str, msg| {
        optional().bearer(token).await.challenges(AUDIENCE, 401, "invalid_token", msg, &[]);
    };
    refused("x", INVALID).await;
    refused("", INVALID).await;
    refused(&tokens.refresh, REFRESH).await;
    world.pass(Duration::from_mins(15));
    refused(&tokens.access, EXPIRED).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fresh_route_wants_credentials_that_were_just_given() {
    let world = World::new().await;
    let tokens = world.login().await;
    let fresh = |token: &str| world.resource().get("/fresh").bearer(token);
    assert_eq!(fresh(&tokens.access).await.is(200), json!({"logged_in_as": ADMIN.0}));
    let refreshed = world.refresh(&tokens.refresh).await.access;
    let silent = world.forge().token(&without(&tokens.claims(), "fresh"));
    for token in [refreshed, silent] {
        fresh(&token).await.challenges(
            AUDIENCE,
            401,
            "insufficient_user_authentication",
            "A more recent login is required",
            &[("max_age", "0")],
        );
        world.protected(&token).await.is(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expired_route_tells_a_live_token_from_an_expired_one_and_mints_nothing() {
    let world = World::new().await;
    let tokens = world.login().await;
    let claims = tokens.claims();
    let expired = async |token: &str| world.resource().post("/expired").bearer(token).await;
    assert_eq!(expired(&tokens.access).await.is(200), json!({"expires_in": 900}));
    world.pass(Duration::from_secs(600));
    assert_eq!(expired(&tokens.access).await.is(200), json!({"expires_in": 300}));
    world.pass(Duration::from_secs(300));
    expired(&tokens.access).await.challenges(AUDIENCE, 401, "invalid_token", EXPIRED, &[]);
    world.pass(Duration::from_hours(24 * 365));
    expired(&tokens.access).await.challenges(AUDIENCE, 401, "invalid_token", EXPIRED, &[]);
    // An expired token with another fault gets the same answer as any invalid token.
    let forge = world.forge();
    for (name, value) in [("aud", json!("elsewhere")), ("iss", json!("http://elsewhere.test"))] {
        let token = forge.token(&with(&claims, &[(name, value)]));
        expired(&token).await.challenges(AUDIENCE, 401, "invalid_token", INVALID, &[]);
    }
    let [header, payload, _] = tests::jws::segments(&tokens.access);
    let unsigned = format!("{header}.{payload}.{}", "A".repeat(342));
    expired(&unsigned).await.challenges(AUDIENCE, 401, "invalid_token", INVALID, &[]);
    expired(&tokens.refresh).await.challenges(AUDIENCE, 401, "invalid_token", REFRESH, &[]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claims_route_says_what_the_token_says() {
    let world = World::new().await;
    let forge = world.forge();
    let login = world.login().await;
    let mut tokens = vec![login.access.clone(), world.login_as(PLAIN).await.access];
    tokens.push(forge.token(&service()));
    let custom = json!({"list": [1, 2.5, null, true], "object": {"a": {"b": "c"}}});
    tokens.push(forge.token(&with(&login.claims(), &[("tenant", json!("x")), ("custom", custom)])));
    tokens.push(
        forge.token(&with(&login.claims(), &[("nbf", json!(BEGINNING)), ("aud", json!(["a", AUDIENCE]))])),
    );
    for token in tokens {
        let answer = world.resource().get("/claims").bearer(&token).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.is(200), tests::jws::payload(&token));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_route_is_for_admins() {
    let world = World::new().await;
    let admin = |token: &str| world.resource().get("/admin").bearer(token);
    assert_eq!(admin(&world.login().await.access).await.is(200)["logged_in_as"], json!(ADMIN.0));
    let plain = world.login_as(PLAIN).await;
    let forge = world.forge();
    let near = [json!(["administrator"]), json!(["Admin"]), json!(["user", "admin "]), json!([])];
    let near = near.map(|roles| forge.token(&with(&plain.claims(), &[("roles", roles)])));
    let scoped = forge.token(&with(&plain.claims(), &[("scope", json!("admin"))]));
    for token in near.iter().chain([&plain.access, &scoped]) {
        let answer = admin(token).await;
        answer.challenges(AUDIENCE, 403, "insufficient_scope", "The role admin is required", &[]);
    }
    let among_others = forge.token(&with(&plain.claims(), &[("roles", json!(["user", "admin"]))]));
    admin(&among_others).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_may_differ_by_the_leeway_and_not_a_millisecond_more() {
    let world = World::with(&[("RESOURCE_LEEWAY", "5s")]).await;
    let (forge, claims) = (world.forge(), world.login().await.claims());
    let live = forge.token(&claims);
    let ahead = |seconds: i64| forge.token(&with(&claims, &[("nbf", json!(BEGINNING + seconds))]));
    world.protected(ahead(5)).await.is(200);
    world.protected(ahead(6)).await.challenges(AUDIENCE, 401, "invalid_token", INVALID, &[]);
    world.pass(Duration::from_millis(904_999));
    world.protected(&live).await.is(200);
    assert_eq!(world.resource().post("/expired").bearer(&live).await.is(200), json!({"expires_in": 0}));
    world.pass(Duration::from_millis(1));
    world.protected(&live).await.challenges(AUDIENCE, 401, "invalid_token", EXPIRED, &[]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_audience_has_other_tokens() {
    let world = World::with(&[("RESOURCE_AUDIENCE", "archive")]).await;
    let login = world.login().await;
    world.protected(&login.access).await.challenges("archive", 401, "invalid_token", INVALID, &[]);
    let theirs = world.forge().token(&with(&login.claims(), &[("aud", json!("archive"))]));
    world.protected(theirs).await.is(200);
    world.stop().await;
}
