//! `GET /me`: the account that a token belongs to.

use std::time::Duration;

use serde_json::json;
use tests::{
    World,
    forge::{with, without},
    world::{ADMIN, BEGINNING, ISSUER, PLAIN},
};

#[tokio::test(flavor = "multi_thread")]
async fn me_is_the_account_of_the_token() {
    let world = World::new().await;
    for (account, roles) in [(ADMIN, json!(["admin"])), (PLAIN, json!([]))] {
        let tokens = world.login_as(account).await;
        let answer = world.auth().get("/me").bearer(&tokens.access).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let expected = json!({
            "id": tokens.claims()["sub"], "email": account.0, "roles": roles,
            "created_at": "2027-01-15T08:00:00Z",
        });
        assert_eq!(answer.is(200), expected);
    }
    let refreshed = world.refresh(&world.login().await.refresh).await;
    world.auth().get("/me").bearer(&refreshed.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn me_serves_every_user_of_the_issuer_whatever_their_token_is_for() {
    let world = World::new().await;
    let (forge, claims) = (world.forge(), world.login().await.claims());
    for aud in [json!("somewhere-else"), json!(["a", "b"])] {
        let token = forge.token(&with(&claims, &[("aud", aud)]));
        world.auth().get("/me").bearer(token).await.is(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_nobody_here() {
    let world = World::new().await;
    let forge = world.forge();
    let claims = json!({
        "iss": ISSUER, "sub": "billing", "aud": "resource-service", "client_id": "billing", "jti": "1",
        "iat": BEGINNING, "exp": BEGINNING + 900, "scope": "introspect",
    });
    let msg = "A user's token is needed here";
    let account = world.login().await.claims();
    let disguised = with(&account, &[("client_id", json!("billing"))]);
    let sessionless = without(&account, "sid");
    for claims in [claims, disguised, without(&account, "client_id"), sessionless] {
        world.auth().get("/me").bearer(forge.token(&claims)).await.refuses(403, "insufficient_scope", msg);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_an_account_or_a_session_is_refused() {
    let world = World::new().await;
    let (forge, claims) = (world.forge(), world.login().await.claims());
    let other = world.login_as(PLAIN).await.claims();
    let nobody = json!("11111111-2222-4333-8444-555555555555");
    let tampered = [
        ("sub", nobody.clone()),
        ("sub", json!("billing")),
        ("sub", other["sub"].clone()),
        ("sid", nobody),
        ("sid", json!("x")),
        ("sid", other["sid"].clone()),
    ];
    for (name, value) in tampered {
        let token = forge.token(&with(&claims, &[(name, value)]));
        let answer = world.auth().get("/me").bearer(token).await;
        answer.challenges(ISSUER, 401, "invalid_token", "The token has been revoked", &[]);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn me_needs_a_live_access_token() {
    let world = World::new().await;
    let tokens = world.login().await;
    let me = |token: &str| world.auth().get("/me").bearer(token);
    world.auth().get("/me").await.misses_a_token(ISSUER);
    let refresh = me(&tokens.refresh).await;
    refresh.challenges(ISSUER, 401, "invalid_token", "Only access tokens are accepted", &[]);
    me("x").await.challenges(ISSUER, 401, "invalid_token", "The token is invalid", &[]);
    let several = me(&tokens.access).bearer(&tokens.access).await;
    let msg = "The request has more than one access token; send exactly one";
    several.challenges(ISSUER, 400, "invalid_request", msg, &[]);
    world.pass(Duration::from_secs(900));
    me(&tokens.access).await.challenges(ISSUER, 401, "invalid_token", "The token has expired", &[]);
    world.stop().await;
}
