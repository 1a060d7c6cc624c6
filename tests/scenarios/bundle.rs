//! A resource server that outlives the issuer: it starts from the bundle on its disk.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use countermark::{
    clock::Clock as _,
    issuer::{Bundle, BundleKey},
    verify::{Audience, Issuer, Seq},
};
use serde_json::json;
use tests::{
    World, until,
    world::{AUDIENCE, ISSUER, PLAIN, RESOURCE, Tokens},
};

const HOUR: Duration = Duration::from_hours(1);

/// Access tokens that live longer than any bundle.
const LONG_TOKENS: [(&str, &str); 3] =
    [("AUTH_ACCESS_TTL", "10d"), ("AUTH_REFRESH_TTL", "30d"), ("AUTH_SESSION_TTL", "90d")];

/// The bundle on disk, opened as the resource server opens it.
fn bundle(world: &World) -> Option<Bundle> {
    let bytes = fs::read(world.path("verifier.bundle")).ok()?;
    let (issuer, audience) = (Issuer::new(ISSUER), Audience::new(AUDIENCE));
    Bundle::open(&bytes, &BundleKey::derived_from(RESOURCE.1), (&issuer, &audience), world.clock.now()).ok()
}

async fn is_refused(world: &World, token: &str) {
    until("the resource server refuses the token", || async {
        (world.protected(token).await.status == 401).then_some(())
    })
    .await;
}

/// A world with one live session and one ended session. The resource server knows both; the issuer is down.
async fn with_the_issuer_down(settings: &[(&str, &str)]) -> (World, Tokens, Tokens) {
    let mut world = World::with(&[&LONG_TOKENS[..], settings].concat()).await;
    let (alive, ended) = (world.login_as(PLAIN).await, world.login().await);
    world.auth().post("/logout").bearer(&ended.access).await.is(200);
    is_refused(&world, &ended.access).await;
    world.stop_resource().await;
    world.stop_auth().await;
    (world, alive, ended)
}

async fn is_up(world: &World) {
    until("the resource server is ready", || async {
        (world.resource_ops().get("/health/ready").await.status == 200).then_some(())
    })
    .await;
}

async fn restart_resource(world: &mut World) {
    world.stop_resource().await;
    world.start_resource().expect("it starts");
    is_up(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_issuer_down_it_starts_and_knows_what_was_revoked() {
    let (mut world, alive, ended) = with_the_issuer_down(&[]).await;
    for _ in 0..3 {
        restart_resource(&mut world).await;
        world.protected(&alive.access).await.is(200);
        assert_eq!(world.protected(&ended.access).await.is(401)["msg"], "The token has been revoked");
        let standing = world.resource_ops().get("/health/ready").await.is(200);
        assert_eq!(standing["revocations"], json!({"sequence": 1, "heard_ms_ago": null}));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_as_long_as_the_bundle_allows_no_good_token_is_refused() {
    let (mut world, alive, ended) = with_the_issuer_down(&[("RESOURCE_BUNDLE_TTL", "24h")]).await;
    world.start_resource().unwrap();
    is_up(&world).await;
    for hour in 0..24 {
        for _ in 0..20 {
            world.protected(&alive.access).await.is(200);
        }
        world.protected(&ended.access).await.is(401);
        if hour % 3 == 2 {
            restart_resource(&mut world).await;
        }
        if hour < 23 {
            world.pass(HOUR);
        }
    }
    // A running verifier continues by its stale policy. A starting verifier has no usable bundle.
    world.pass(HOUR);
    world.protected(&alive.access).await.is(200);
    world.stop_resource().await;
    world.start_resource().unwrap();
    world.protected(&alive.access).await.is_unavailable();
    world.start_auth().await.unwrap();
    world.stop_resource().await;
    world.start_resource().unwrap();
    is_up(&world).await;
    world.protected(&alive.access).await.is(200);
    is_refused(&world, &ended.access).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_within_its_policy() {
    let (mut world, alive, ended) = with_the_issuer_down(&[("RESOURCE_STALE_POLICY", "deny")]).await;
    world.start_resource().unwrap();
    is_up(&world).await;
    world.protected(&alive.access).await.is_unavailable();
    assert_eq!(world.protected(&ended.access).await.is(401)["msg"], "The token has been revoked");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_nothing_that_was_written_a_moment_before() {
    let mut world = World::with(&LONG_TOKENS).await;
    let (alive, ended) = (world.login_as(PLAIN).await, world.login().await);
    world.auth().post("/logout").bearer(&ended.access).await.is(200);
    until("the bundle has the revocation", || async {
        (bundle(&world)?.position.seq == Seq::new(1)).then_some(())
    })
    .await;
    world.crash_auth().await;
    world.crash_resource().await;
    world.start_resource().unwrap();
    is_up(&world).await;
    world.protected(&alive.access).await.is(200);
    assert_eq!(world.protected(&ended.access).await.is(401)["msg"], "The token has been revoked");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_forged_cut_short_or_of_somebody_else_is_as_good_as_none() {
    let (mut world, alive, _) = with_the_issuer_down(&[]).await;
    let path = world.path("verifier.bundle");
    let good = fs::read(&path).unwrap();
    let mut forged = good.clone();
    forged[100] ^= 1;
    for content in [&forged[..], &good[..good.len() - 1], b"", &[&good[..], b"x"].concat()] {
        fs::write(&path, content).unwrap();
        world.start_resource().expect("it starts all the same");
        world.protected(&alive.access).await.is_unavailable();
        world.stop_resource().await;
    }
    fs::write(&path, &good).unwrap();
    for (name, value) in [
        ("RESOURCE_CLIENT_SECRET", "another-secret-another-secret-0123456789"),
        ("RESOURCE_ISSUER", "http://another.test"),
        ("RESOURCE_AUDIENCE", "another"),
    ] {
        world.set(name, value);
        world.start_resource().expect("it starts all the same");
        assert_eq!(world.resource_ops().get("/health/ready").await.status, 503, "{name}");
        world.stop_resource().await;
        world.reset(name);
    }
    restart_resource(&mut world).await;
    world.protected(&alive.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_there_is_no_bundle_and_with_one_it_is_for_no_other_eyes() {
    let (world, alive, ended) = with_the_issuer_down(&[]).await;
    let path = world.path("verifier.bundle");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    for secret in [RESOURCE.1, &alive.access, &alive.refresh, &ended.access] {
        assert!(!content.contains(secret), "a secret is in the bundle");
    }
    world.stop().await;
    let mut world = World::with(&[]).await;
    world.stop_resource().await;
    drop(fs::remove_file(world.path("verifier.bundle")));
    for name in ["RESOURCE_AUTH_GRPC", "RESOURCE_CLIENT_ID", "RESOURCE_CLIENT_SECRET"] {
        world.unset(name);
    }
    world.start_resource().unwrap();
    is_up(&world).await;
    world.stop_resource().await;
    assert!(!world.path("verifier.bundle").exists());
    world.stop().await;
}
