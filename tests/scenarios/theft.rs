//! A spent refresh token is sent again, by an honest client that lost the answer, or by a thief.

use std::time::Duration;

use tests::{
    Answer, World,
    world::{BILLING, ISSUER, Tokens},
};

async fn refresh_from(world: &World, agent: &str, token: &str) -> Answer {
    world.auth().post("/refresh").header("user-agent", agent).bearer(token).await
}

async fn login_from(world: &World, agent: &str) -> Tokens {
    let (email, password) = tests::world::ADMIN;
    let body = serde_json::json!({"email": email, "password": password});
    Tokens::of(&world.auth().post("/login").header("user-agent", agent).json(&body).await)
}

#[track_caller]
fn refused(answer: &Answer) {
    answer.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
}

async fn is_over(world: &World, tokens: &Tokens) {
    let answer = world.auth().get("/me").bearer(&tokens.access).await;
    answer.challenges(ISSUER, 401, "invalid_token", "The token has been revoked", &[]);
    let answer = world.grpc().basic(BILLING.0, BILLING.1).introspect(&tokens.access).await.unwrap();
    assert!(!answer.active && answer.claims.is_none());
    refused(&refresh_from(world, "browser", &tokens.refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_the_answer_gets_the_same_successor_however_often_it_asks() {
    let world = World::new().await;
    let login = login_from(&world, "browser").await;
    let lost = Tokens::of(&refresh_from(&world, "browser", &login.refresh).await);
    for _ in 0..5 {
        world.pass(Duration::from_secs(2));
        let again = Tokens::of(&refresh_from(&world, "browser", &login.refresh).await);
        assert_eq!(again.refresh, lost.refresh);
    }
    // Ten seconds have passed since the rotation. The retries have not extended the window.
    world.pass(Duration::from_secs(1));
    refused(&refresh_from(&world, "browser", &login.refresh).await);
    is_over(&world, &lost).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_spent_twice_is_theft_and_ends_the_session_for_both() {
    let world = World::new().await;
    let login = login_from(&world, "browser").await;
    let second = Tokens::of(&refresh_from(&world, "browser", &login.refresh).await);
    let third = Tokens::of(&refresh_from(&world, "browser", &second.refresh).await);
    // Within the window, but not the immediate predecessor any more.
    refused(&refresh_from(&world, "browser", &login.refresh).await);
    for tokens in [&login, &second, &third] {
        is_over(&world, tokens).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_from_another_device_is_theft() {
    let world = World::new().await;
    let login = login_from(&world, "browser").await;
    let second = Tokens::of(&refresh_from(&world, "browser", &login.refresh).await);
    refused(&refresh_from(&world, "thief", &login.refresh).await);
    is_over(&world, &second).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_from_another_address_is_none() {
    let world = World::with(&[("AUTH_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let login = login_from(&world, "browser").await;
    let from = |address: &'static str| {
        let ask = world.auth().post("/refresh").header("user-agent", "browser").bearer(&login.refresh);
        ask.header("x-forwarded-for", address)
    };
    let second = Tokens::of(&from("203.0.113.1").await);
    let again = Tokens::of(&from("203.0.113.2").await);
    assert_eq!(second.refresh, again.refresh);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_who_was_first_is_out_as_soon_as_the_honest_client_comes() {
    let world = World::new().await;
    let login = login_from(&world, "browser").await;
    let stolen = Tokens::of(&refresh_from(&world, "thief", &login.refresh).await);
    world.pass(Duration::from_secs(11));
    refused(&refresh_from(&world, "browser", &login.refresh).await);
    is_over(&world, &stolen).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_revives_nothing() {
    let world = World::new().await;
    let login = login_from(&world, "browser").await;
    let second = Tokens::of(&refresh_from(&world, "browser", &login.refresh).await);
    world.clock.set(countermark::clock::Timestamp::from_unix_seconds(tests::world::BEGINNING - 3_600));
    refused(&refresh_from(&world, "browser", &login.refresh).await);
    refused(&refresh_from(&world, "browser", &second.refresh).await);
    world.stop().await;
}
