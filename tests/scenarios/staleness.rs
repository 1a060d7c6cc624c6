//! A verifier that gets no answer from the issuer for too long is stale, and acts by its policy.

use std::time::Duration;

use serde_json::json;
use tests::{
    World,
    forge::with,
    relay::Relay,
    until,
    world::{BEGINNING, Tokens},
};

/// Longer than `RESOURCE_STALE_AFTER`.
const TOO_LONG: Duration = Duration::from_secs(6);

/// A world whose resource server reaches the issuer's gRPC port through a relay. The issuer has already answered it.
async fn world(policy: &str) -> (World, Relay) {
    let relay = Relay::start().await;
    let world = World::with(&[("RESOURCE_AUTH_GRPC", &relay.url()), ("RESOURCE_STALE_POLICY", policy)]).await;
    relay.mend(world.auth_grpc);
    is_in_contact(&world).await;
    (world, relay)
}

async fn is_in_contact(world: &World) {
    until("the issuer has answered the resource server", || async {
        let standing = world.resource_ops().get("/health/ready").await.is(200);
        standing["revocations"]["heard_ms_ago"].as_u64().is_some_and(|ago| ago < 5_000).then_some(())
    })
    .await;
}

/// Checks that invalid tokens get their usual answers, stale or not.
async fn bad_tokens_are_refused_for_what_they_are(world: &World, good: &Tokens) {
    let forge = world.forge();
    let but_for = |member, value| forge.token(&with(&good.claims(), &[(member, value)]));
    for (token, msg) in [
        (but_for("exp", json!(BEGINNING)), "The token has expired"),
        (but_for("aud", json!("others")), "The token is invalid"),
        (format!("{}AAAAA", &good.access[..good.access.len() - 5]), "The token is invalid"),
        (good.refresh.clone(), "Only access tokens are accepted"),
    ] {
        let answer = world.protected(&token).await;
        assert_eq!(answer.is(401)["msg"], msg);
    }
    assert_eq!(world.resource().get("/protected-route").await.is(401)["error"], "missing_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_deny_a_stale_verifier_answers_503_until_the_issuer_answers_again() {
    let (world, relay) = world("deny").await;
    let tokens = world.login().await;
    world.protected(&tokens.access).await.is(200);
    relay.cut();
    world.pass(Duration::from_secs(2));
    world.protected(&tokens.access).await.is(200);
    world.pass(TOO_LONG);
    let answer = world.protected(&tokens.access).await;
    answer.is_unavailable();
    assert_eq!(answer.header("www-authenticate"), None, "nobody is to log in again for it");
    bad_tokens_are_refused_for_what_they_are(&world, &tokens).await;
    // A revocation from the meantime applies as soon as the verifier knows it.
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    world.protected(&tokens.access).await.is(503);
    let other = world.login().await;
    relay.mend(world.auth_grpc);
    is_in_contact(&world).await;
    world.protected(&other.access).await.is(200);
    assert_eq!(world.protected(&tokens.access).await.is(401)["msg"], "The token has been revoked");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_deny_nothing_is_accepted_before_the_issuer_has_answered() {
    let relay = Relay::start().await;
    let world = World::with(&[("RESOURCE_AUTH_GRPC", &relay.url()), ("RESOURCE_STALE_POLICY", "deny")]).await;
    let tokens = world.login().await;
    world.protected(&tokens.access).await.is_unavailable();
    relay.mend(world.auth_grpc);
    until("it accepts again", || async {
        (world.protected(&tokens.access).await.status == 200).then_some(())
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_allow_a_stale_verifier_accepts_what_it_would_accept_otherwise() {
    let (world, relay) = world("allow").await;
    let tokens = world.login().await;
    relay.cut();
    world.pass(TOO_LONG);
    world.protected(&tokens.access).await.is(200);
    bad_tokens_are_refused_for_what_they_are(&world, &tokens).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_introspect_the_issuer_is_asked_and_no_answer_is_a_503() {
    let (world, relay) = world("introspect").await;
    let (alive, ended) = (world.login().await, world.login().await);
    world.protected(&ended.access).await.is(200);
    // The stream hangs, but separate calls get through.
    relay.freeze();
    world.auth().post("/logout").bearer(&ended.access).await.is(200);
    world.pass(TOO_LONG);
    world.protected(&alive.access).await.is(200);
    assert_eq!(world.protected(&ended.access).await.is(401)["msg"], "The token has been revoked");
    relay.cut();
    world.pass(TOO_LONG);
    world.protected(&alive.access).await.is_unavailable();
    bad_tokens_are_refused_for_what_they_are(&world, &alive).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_makes_nobody_stale_and_nobody_current() {
    let (world, relay) = world("deny").await;
    let tokens = world.login().await;
    let now = countermark::clock::Clock::now(&world.clock);
    for span in [Duration::from_secs(30), Duration::ZERO] {
        world.clock.set(now.before(span));
        world.protected(&tokens.access).await.is(200);
    }
    relay.cut();
    world.pass(TOO_LONG);
    world.clock.set(now);
    world.protected(&tokens.access).await.is_unavailable();
    world.stop().await;
}
