//! The access token: each claim of it.

use std::{collections::BTreeSet, time::Duration};

use countermark::clock::Timestamp;
use serde_json::{Value, json};
use tests::{
    World,
    jws::header,
    world::{ADMIN, AUDIENCE, BEGINNING, ISSUER, PLAIN},
};

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_says_algorithm_type_and_key_and_no_more() {
    let world = World::new().await;
    let tokens = world.login().await;
    let expected = json!({"alg": "RS256", "typ": "at+jwt", "kid": world.forge().kid});
    assert_eq!(header(&tokens.access), expected);
    assert_eq!(header(&world.refresh(&tokens.refresh).await.access), expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_mints_exactly_the_claims_of_the_contract() {
    let world = World::new().await;
    world.clock.set(Timestamp::from_unix_millis(BEGINNING * 1_000 + 999));
    let claims = world.login().await.claims();
    let text = |name: &str| claims[name].as_str().unwrap_or_else(|| panic!("{name} is a string: {claims}"));
    let is_uuid = |text: &str| text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    assert!(is_uuid(text("sub")) && is_uuid(text("sid")), "{claims}");
    assert_ne!(text("sub"), text("sid"));
    assert!((16..=255).contains(&text("jti").len()), "{claims}");
    let expected = json!({
        "iss": ISSUER,
        "sub": claims["sub"],
        "aud": AUDIENCE,
        "exp": BEGINNING + 900,
        "iat": BEGINNING,
        "jti": claims["jti"],
        "client_id": "first-party",
        "scope": "documents:read documents:write",
        "roles": ["admin"],
        "email": ADMIN.0,
        "sid": claims["sid"],
        "auth_time": BEGINNING,
        "fresh": true,
        "amr": ["pwd"],
    });
    assert_eq!(claims, expected);
    for date in ["exp", "iat", "auth_time"] {
        assert!(claims[date].is_i64() || claims[date].is_u64(), "{date} is an integer: {claims}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_empty_is_absent() {
    let world = World::with(&[("AUTH_AUDIENCE", "bare")]).await;
    let tokens = world.login_as(PLAIN).await;
    assert_eq!(tokens.answer["scope"], json!(""));
    let claims = tokens.claims();
    assert_eq!(claims["aud"], json!("bare"));
    let expected =
        ["amr", "aud", "auth_time", "client_id", "email", "exp", "fresh", "iat", "iss", "jti", "sid", "sub"];
    assert_eq!(names(&claims), BTreeSet::from(expected), "no scope, no roles, no csrf");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_several_has_the_default_scopes_of_them_all() {
    let world = World::with(&[("AUTH_AUDIENCE", "resource-service, archive,bare")]).await;
    let tokens = world.login().await;
    let claims = tokens.claims();
    assert_eq!(claims["aud"], json!(["resource-service", "archive", "bare"]));
    assert_eq!(tokens.answer["scope"], claims["scope"]);
    let scope: BTreeSet<_> = claims["scope"].as_str().unwrap().split(' ').collect();
    assert_eq!(scope, BTreeSet::from(["documents:read", "documents:write", "archive:read"]));
    world.protected(&tokens.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_tokens_have_one_id() {
    let world = World::new().await;
    let mut ids = BTreeSet::new();
    let mut tokens = world.login().await;
    for _ in 0..10 {
        ids.insert(tokens.claims()["jti"].to_string());
        tokens = world.refresh(&tokens.refresh).await;
    }
    assert_eq!(ids.len(), 10);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_dead_at_its_expiry_and_not_one_second_later() {
    let world = World::new().await;
    let token = world.login().await.access;
    world.pass(Duration::from_millis(899_999));
    world.protected(&token).await.is(200);
    assert!(world.introspect(&token).await.active);
    world.auth().get("/me").bearer(&token).await.is(200);
    world.pass(Duration::from_millis(1));
    let answer = world.protected(&token).await;
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    assert!(!world.introspect(&token).await.active);
    let answer = world.auth().get("/me").bearer(&token).await;
    answer.challenges(ISSUER, 401, "invalid_token", "The token has expired", &[]);
    world.stop().await;
}
