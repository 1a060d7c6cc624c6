//! The issuer revokes, and the resource server refuses: at once, and without a call per request.

use std::time::Duration;

use serde_json::json;
use tests::{
    Http, World,
    forge::with,
    operator,
    relay::Relay,
    until,
    world::{BILLING, PLAIN, RESOURCE, Tokens},
};

/// Waits until the resource server refuses the token as revoked.
async fn is_refused(world: &World, token: &str) {
    until("the resource server refuses the token", || async {
        let answer = world.protected(token).await;
        (answer.status == 401 && answer.json()["msg"] == "The token has been revoked").then_some(())
    })
    .await;
}

async fn service_token(world: &World) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "documents:read")];
    let answer = world.auth().post("/oauth/token").basic(BILLING).form(&form).await.is(200);
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_a_session_ends_its_tokens_at_the_resource_server() {
    let world = World::new().await;
    let bystander = world.login_as(PLAIN).await;
    let post = |path: &'static str, tokens: &Tokens| world.auth().post(path).bearer(&tokens.access);
    // A logout of one session.
    let (first, second) = (world.login().await, world.login().await);
    world.protected(&first.access).await.is(200);
    post("/logout", &first).await.is(200);
    is_refused(&world, &first.access).await;
    // A logout of all sessions.
    world.protected(&second.access).await.is(200);
    post("/logout-all", &second).await.is(200);
    is_refused(&world, &second.access).await;
    // Theft: a spent refresh token is sent again.
    let stolen = world.login().await;
    let refreshed = world.refresh(&stolen.refresh).await;
    let last = world.refresh(&refreshed.refresh).await;
    world.protected(&last.access).await.is(200);
    world.try_refresh(&stolen.refresh).await.is(401);
    is_refused(&world, &last.access).await;
    is_refused(&world, &stolen.access).await;
    // The revocation of one service token.
    let token = service_token(&world).await;
    world.protected(&token).await.is(200);
    let revoked = world.auth().post("/oauth/revoke").basic(BILLING).form(&[("token", &token)]).await;
    assert_eq!(revoked.status, 200);
    is_refused(&world, &token).await;
    world.protected(service_token(&world).await).await.is(200);
    world.protected(&bystander.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_before_the_resource_server_started_is_refused_by_it() {
    let mut world = World::new().await;
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    world.restart().await;
    is_refused(&world, &tokens.access).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_revokes_is_refused_too() {
    let world = operator::world_of_today(&[]).await;
    let tokens = world.login().await;
    world.protected(&tokens.access).await.is(200);
    let session = tokens.claims()["sid"].as_str().unwrap().to_owned();
    operator::json_of(&world, &["session", "revoke", &session]).await;
    is_refused(&world, &tokens.access).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resource_server_says_how_current_it_is() {
    let world = World::new().await;
    let standing = |ops: Http| async move { ops.get("/health/ready").await.is(200)["revocations"].clone() };
    let tokens = world.login().await;
    until("the issuer has answered", || async {
        standing(world.resource_ops().clone()).await["heard_ms_ago"].is_u64().then_some(())
    })
    .await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    is_refused(&world, &tokens.access).await;
    assert_eq!(standing(world.resource_ops().clone()).await["sequence"], json!(1));
    let answer = world.resource_ops().get("/metrics").await;
    let metrics = answer.text();
    for line in [
        "countermark_revocations_sequence 1",
        "countermark_revocations_held 1",
        "countermark_issuer_last_seen_seconds ",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_watch_is_served_without_revocations() {
    let settings = [("RESOURCE_CLIENT_SECRET", "not-the-secret-not-the-secret-0123456789")];
    let world = World::with(&settings).await;
    let tokens = world.login().await;
    world.protected(&tokens.access).await.is(200);
    let standing = world.resource_ops().get("/health/ready").await.is(200);
    assert_eq!(standing["revocations"], json!({"sequence": 0, "heard_ms_ago": null}));
    assert_ne!(settings[0].1, RESOURCE.1);
    world.stop().await;
}

/// Longer than the shortest time between two fetches.
const COOLDOWN: Duration = Duration::from_secs(11);

/// Number of requests for the issuer's keys.
async fn fetches(world: &World) -> u64 {
    let answer = world.auth_ops().get("/metrics").await;
    let counts = answer.text().lines().filter(|line| {
        line.starts_with("countermark_http_requests_total{")
            && line.contains(r#"route="/.well-known/jwks.json""#)
    });
    counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_live_stream_an_unknown_kid_causes_no_fetch() {
    let relay = Relay::start().await;
    let world = World::with(&[("RESOURCE_AUTH_GRPC", &relay.url())]).await;
    relay.mend(world.auth_grpc);
    let tokens = world.login().await;
    let forge = world.forge();
    let flood = async || {
        for number in 0..50 {
            let header = with(&forge.header(), &[("kid", json!(format!("unknown {number}")))]);
            world.protected(forge.with_header(&header, &tokens.claims())).await.is(401);
        }
    };
    // The clock moves past the cool-down each time, so the cool-down does not prevent a fetch. The issuer may still
    // publish its next key.
    until("unknown keys cause no fetch", || async {
        world.pass(COOLDOWN);
        until("the issuer has answered the resource server", || async {
            let standing = world.resource_ops().get("/health/ready").await.is(200);
            standing["revocations"]["heard_ms_ago"].as_u64().is_some_and(|ago| ago < 1_000).then_some(())
        })
        .await;
        let before = fetches(&world).await;
        flood().await;
        (fetches(&world).await == before).then_some(())
    })
    .await;
    // A flood of concurrent requests does not delay valid tokens either.
    until("a flood causes no fetch", async || {
        let before = fetches(&world).await;
        let good = async || {
            for _ in 0..200 {
                world.protected(&tokens.access).await.is(200);
            }
        };
        tokio::join!(flood(), flood(), good(), flood(), flood(), good());
        (fetches(&world).await == before).then_some(())
    })
    .await;
    relay.cut();
    world.pass(COOLDOWN);
    let before = fetches(&world).await;
    until("it asks for the keys by itself again", || async {
        flood().await;
        (fetches(&world).await == before + 1).then_some(())
    })
    .await;
    flood().await;
    assert_eq!(fetches(&world).await, before + 1, "one per cool-down");
    world.protected(&tokens.access).await.is(200);
    world.stop().await;
}
