//! Signing keys: rotated unnoticed, revoked for everybody, and resealed while the service runs.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use countermark::clock::Clock as _;
use countermark_proto::auth_v1::entry::Matches;
use serde_json::{Value, json};
use tests::{
    World,
    grpc::Grpc,
    operator,
    process::{AUTH, Start, binary},
    until,
    watcher::{Watcher, hello},
    world::{ADMIN, BILLING, Tokens},
};

/// Time from a key's publication to its first signature: `AUTH_JWKS_MAX_AGE`, and one second for answers in flight.
const LEAD: Duration = Duration::from_secs(301);

fn billing(world: &World) -> Grpc {
    world.grpc().basic(BILLING.0, BILLING.1)
}

fn kid(token: &str) -> String {
    let header = tests::jws::unb64(token.split('.').next().unwrap());
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn published(world: &World) -> BTreeSet<String> {
    let keys = world.auth().get("/.well-known/jwks.json").await.is(200);
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The keys and their states.
async fn keys(world: &World) -> Vec<(String, &'static str)> {
    let keys = world.operator().await.keys.key_statuses().unwrap();
    keys.iter().map(|own| (own.key.kid.to_string(), own.state().as_str())).collect()
}

async fn key(world: &World, state: &str) -> Option<String> {
    keys(world).await.into_iter().find(|key| key.1 == state).map(|key| key.0)
}

/// Waits until a next key is published.
async fn next(world: &World) -> String {
    until("a next key", async || {
        let next = key(world, "next").await?;
        published(world).await.contains(&next).then_some(next)
    })
    .await
}

async fn signs(world: &World, kid: &str) {
    until("it signs", async || (self::kid(&world.login().await.access) == kid).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_key_is_published_ahead_and_a_rotation_goes_through_when_all_can_know_it() {
    let world = World::new().await;
    let old = world.login().await;
    let next = next(&world).await;
    assert_eq!(keys(&world).await.len(), 2);
    world.operator().await.keys.start_rotation().await.unwrap();
    world.pass(LEAD - Duration::from_millis(1));
    // All checks within half a second find that it is too early.
    for _ in 0..10 {
        tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(kid(&world.login().await.access), kid(&old.access));
    }
    world.pass(Duration::from_millis(1));
    signs(&world, &next).await;

    let after = world.login().await;
    for tokens in [&old, &after] {
        world.protected(&tokens.access).await.is(200);
        assert!(world.introspect(&tokens.access).await.active);
    }
    // The old key stays published while a token of it may live, and one minute longer.
    assert!(published(&world).await.contains(&kid(&old.access)));
    let retired_at = world.clock.now();
    until("the old key goes", async || {
        world.pass(Duration::from_secs(20));
        (!published(&world).await.contains(&kid(&old.access))).then_some(())
    })
    .await;
    assert!(world.clock.now().since(retired_at) >= Duration::from_secs(960));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_waits_for_every_watcher_here_and_elsewhere() {
    let world = World::of_auth_alone(&[]).await;
    let first = kid(&world.login().await.access);
    let mut behind = Watcher::begin(&billing(&world), hello("behind")).await.unwrap();
    behind.ack();
    let next = next(&world).await;
    world.operator().await.keys.start_rotation().await.unwrap();
    world.pass(LEAD);
    // The watcher acknowledges, but holds no key set.
    for _ in 0..10 {
        behind.ack();
        behind.until(|watcher| watcher.heartbeat.nonce.is_some()).await;
        behind.heartbeat = countermark_proto::auth_v1::Heartbeat::default();
        assert_eq!(kid(&world.login().await.access), first);
    }
    let mut watcher = Watcher::current(&billing(&world), behind.resume()).await;
    behind.goodbye();
    behind.end().await;
    watcher.confirm().await;
    signs(&world, &next).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_notified_of_another_key_set() {
    let world = World::of_auth_alone(&[]).await;
    let mut watcher = Watcher::begin(&billing(&world), hello("one")).await.unwrap();
    let next = next(&world).await;
    let answer = world.auth().get("/.well-known/jwks.json").await;
    let version = answer.headers["etag"].to_str().unwrap().trim_matches('"').to_owned();
    watcher.until(|watcher| watcher.heartbeat.key_set_version == version).await;
    world.operator().await.keys.revoke_signing_key(&next.parse().unwrap()).await.unwrap();
    watcher.until(|watcher| watcher.heartbeat.key_set_version != version).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_at_its_age() {
    let world = World::of_auth_alone(&[("AUTH_KEY_MAX_AGE", "1d")]).await;
    for _ in 0..3 {
        let next = next(&world).await;
        world.pass(Duration::from_secs(86_400));
        signs(&world, &next).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_gone_at_once_and_sessions_go_on() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let next = next(&world).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    let stolen = kid(&tokens.access);
    world.operator().await.keys.revoke_signing_key(&stolen.parse().unwrap()).await.unwrap();
    watcher.until_seq(1).await;
    assert_eq!(watcher.entries[0].matches, Some(Matches::Kid(stolen.clone())));
    assert_eq!(watcher.entries[0].expires_at, None, "it never expires");
    until("the key is gone", async || (!published(&world).await.contains(&stolen)).then_some(())).await;
    world.auth().get("/me").bearer(&tokens.access).await.challenges(
        tests::world::ISSUER,
        401,
        "invalid_token",
        "The token is invalid",
        &[],
    );
    assert!(!world.introspect(&tokens.access).await.active);
    let refreshed = world.refresh(&tokens.refresh).await;
    assert_eq!(kid(&refreshed.access), next);
    world.auth().get("/me").bearer(&refreshed.access).await.is(200);
    let third = self::next(&world).await;
    assert!(third != next && third != stolen);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_have_one_key_that_signs_and_both_follow() {
    let mut world = World::of_auth_alone(&[]).await;
    world.halt().await;
    let issuer =
        async || Start::of(AUTH).envs(world.auth_settings()).env("AUTH_JWKS_MAX_AGE", "1s").listen().await;
    let processes = [issuer().await, issuer().await];
    let login = json!({"email": ADMIN.0, "password": ADMIN.1});
    let log_in =
        async |number: usize| Tokens::of(&processes[number].http().post("/login").json(&login).await).access;
    let mut before = kid(&log_in(0).await);
    for round in 0..3 {
        let rotated = operator_with_max_age(&world, &["key", "rotate", "--wait"]).await;
        let now = rotated["kid"].as_str().unwrap().to_owned();
        assert_ne!(now, before, "round {round}");
        for number in [0, 1] {
            until("it follows", async || (kid(&log_in(number).await) == now).then_some(())).await;
            let token = log_in(number).await;
            for process in &processes {
                process.http().get("/me").bearer(&token).await.is(200);
            }
        }
        before = now;
    }
    let listed = operator_with_max_age(&world, &["key", "list"]).await;
    let active = listed.as_array().unwrap().iter().filter(|key| key["state"] == "active").count();
    assert_eq!(active, 1);
    for process in processes {
        assert_eq!(process.stop().await.code, Some(0));
    }
}

async fn operator_with_max_age(world: &World, arguments: &[&str]) -> Value {
    let mut start = Start::of(AUTH).envs(world.auth_settings()).env("AUTH_JWKS_MAX_AGE", "1s");
    for argument in arguments {
        start = start.arg(argument);
    }
    let ended = start.arg("--json").end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_rotates_and_revokes() {
    let world = operator::world_of_today(&[]).await;
    let next = next(&world).await;
    let rotation = operator::json_of(&world, &["key", "rotate"]).await;
    assert_eq!((&rotation["kid"], &rotation["signs"]), (&json!(next), &json!(false)));
    let again = operator::json_of(&world, &["key", "rotate"]).await;
    assert_eq!(again["kid"], rotation["kid"], "one is under way");
    let keys = operator::json_of(&world, &["key", "list"]).await;
    let of = |state: &str| keys.as_array().unwrap().iter().find(|key| key["state"] == state).unwrap();
    assert_eq!(of("next")["signs_from"], rotation["signs_from"]);

    let stolen = of("active")["kid"].as_str().unwrap();
    let revoked = operator::json_of(&world, &["key", "revoke", stolen]).await;
    assert_eq!(revoked["active"], json!(next));
    signs(&world, &next).await;
    let (code, _, error) = operator::run(&world, &["key", "revoke", stolen]).await;
    assert_eq!(code, 1);
    assert!(error.contains("no such key"), "{error}");
    let audit = operator::run(&world, &["audit"]).await.1;
    for event in ["signing_key_published", "signing_key_wanted", "signing_key_revoked"] {
        assert!(audit.contains(event), "{event} in {audit}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_waited_for_says_what_it_waits_for() {
    let world = operator::world_of_today(&[]).await;
    next(&world).await;
    let watcher = Watcher::current(&billing(&world), hello("slow")).await;
    let mut rotation = Command::new(binary(AUTH))
        .args(["key", "rotate", "--wait"])
        .envs(world.auth_settings())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(rotation.stderr.take().unwrap()).lines().map_while(Result::ok);
    let saying = tokio::task::spawn_blocking(move || lines.find(|line| line.starts_with("waiting until ")));
    let said = tokio::time::timeout(tests::PATIENCE, saying).await.expect("a word in time").unwrap();
    rotation.kill().unwrap();
    rotation.wait().unwrap();
    let said = said.expect("what it waits for");
    assert!(said.contains("have not acknowledged it: slow;"), "{said}");
    drop(watcher);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_sealed_anew_while_the_service_runs() {
    let mut world = operator::world_of_today(&[]).await;
    let tokens = world.login().await;
    next(&world).await;
    let (old, new) = (world.path("master.key"), world.path("new.key"));
    let resealed =
        operator::json_of(&world, &["key", "reseal", "--new-master-key-file", new.to_str().unwrap()]).await;
    assert_eq!(resealed["keys"], json!(3), "two signing keys, and one of refresh tokens");
    // The service continues with the keys that it holds, and a rotation still works.
    world.auth().get("/me").bearer(&world.login().await.access).await.is(200);
    let (code, _, error) = operator::run(&world, &["key", "list"]).await;
    assert_eq!(code, 1, "nothing opens with the old one");
    assert!(error.contains("AUTH_MASTER_KEY_FILE"), "{error}");

    fs::rename(&new, &old).unwrap();
    // The service reads the new master key, and seals with it from then on.
    until("a key by the new master key", async || {
        operator::run(&world, &["refresh-key", "rotate"]).await.0.eq(&0).then_some(())
    })
    .await;
    let second = world.refresh(&tokens.refresh).await;
    world.stop_auth().await;
    world.start_auth().await.unwrap();
    world.auth().get("/me").bearer(&second.access).await.is(200);
    world.refresh(&second.refresh).await;
    world.stop().await;
}
