//! `auth-service doctor`, and the data about watchers on the operations port.

use countermark::clock::{Clock as _, SystemClock};
use countermark_proto::auth_v1::{Ack, Hello, StalePolicy};
use countermark_service::database::rusqlite::Connection;
use serde_json::{Value, json};
use tests::{
    PATIENCE, World,
    grpc::Grpc,
    operator,
    relay::Relay,
    until,
    watcher::{Watcher, hello},
    world::{BILLING, STRANGER},
};

fn billing(world: &World) -> Grpc {
    world.grpc().basic(BILLING.0, BILLING.1)
}

/// A world at the machine's time. Only the scenario's own watchers exist. Each of the two clients that may introspect
/// has one audience.
async fn world() -> World {
    let world = World::of_auth_alone(&[]).await;
    world.clock.set(SystemClock::new().now());
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    database.execute("DELETE FROM audiences WHERE id = 'bare'", []).unwrap();
    world
}

async fn doctor(world: &World) -> (i32, Value) {
    let (code, output, error) = operator::run(world, &["doctor", "--json"]).await;
    (code, serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{error}")))
}

/// Watches and acknowledges continuously, with a clock that is off by `offset` milliseconds.
fn keep(world: &World, mut watcher: Watcher, offset: i64) -> tokio::task::JoinHandle<()> {
    let clock = world.clock.clone();
    tokio::spawn(async move {
        loop {
            let now_millis = clock.now().unix_millis() + offset;
            watcher.ack_with(&Ack { now_millis, ..Ack::default() });
            let before = watcher.heartbeat.nonce;
            watcher.until(|watcher| watcher.heartbeat.nonce != before).await;
            tokio::time::timeout(std::time::Duration::from_millis(50), watcher.receive()).await.ok();
        }
    })
}

/// Acknowledges continuously what it has, and reads nothing new.
fn lag(mut watcher: Watcher) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut often = tokio::time::interval(std::time::Duration::from_millis(200));
        loop {
            often.tick().await;
            watcher.ack();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_current_verifier_for_each_audience_nothing_is_wrong() {
    let world = world().await;
    let one = Watcher::current(&billing(&world), hello("one")).await;
    let two = Watcher::current(&world.grpc().basic(STRANGER.0, STRANGER.1), hello("two")).await;
    let kept = [keep(&world, one, 0), keep(&world, two, -900)];
    let found = until("a clean bill", async || {
        let (code, found) = doctor(&world).await;
        (code == 0).then_some(found)
    })
    .await;
    assert_eq!(found["findings"], json!([]));
    let watchers = found["watchers"].as_array().unwrap();
    let one = watchers.iter().find(|watcher| watcher["name"] == "one").unwrap();
    assert_eq!((&one["client"], &one["version"]), (&json!("billing"), &json!("1.0")));
    assert_eq!((&one["behind"], &one["current_keys"]), (&json!(0), &json!(true)));
    assert_eq!((&one["policy"], &one["stale_after_seconds"]), (&json!("deny"), &json!(5)));
    let (code, text, _) = operator::run(&world, &["doctor"]).await;
    assert!(code == 0 && text.contains("Nothing is wrong."), "{text}");
    for task in kept {
        task.abort();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_would_still_accept_a_revoked_token_and_what_else_is_wrong() {
    let world = world().await;
    let allowing = |name: &str| Hello { policy: StalePolicy::Allow.into(), ..hello(name) };
    let relay = Relay::to(world.auth_grpc).await;
    let mut gone =
        Watcher::current(&Grpc::at(relay.address).basic(BILLING.0, BILLING.1), allowing("gone")).await;
    gone.confirm().await;
    relay.cut();
    let mut behind = Watcher::current(&billing(&world), allowing("behind")).await;
    behind.confirm().await;
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    let off = Watcher::current(&billing(&world), hello("off")).await;
    // Both are heard of however long the command takes.
    let kept = [keep(&world, off, 90_000), lag(behind)];

    let (code, found) = until("it is found", async || {
        let (code, found) = doctor(&world).await;
        found.to_string().contains("it vanished").then_some((code, found))
    })
    .await;
    assert_eq!(code, 1);
    let findings: Vec<_> =
        found["findings"].as_array().unwrap().iter().map(|finding| finding.as_str().unwrap()).collect();
    for (name, says) in [
        ("gone (billing)", "would still accept a revoked token: it vanished"),
        ("behind (billing)", "would still accept a revoked token: it lacks 1 revocations"),
        ("off (billing)", "ms ahead"),
        ("the audience archive", "no verifier"),
    ] {
        let found = findings.iter().any(|finding| finding.contains(name) && finding.contains(says));
        assert!(found, "{name} {says} in {findings:#?}");
    }
    for task in kept {
        task.abort();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operations_port_counts_who_watches_and_the_keys() {
    let world = World::of_auth_alone(&[]).await;
    let metrics = async || {
        let answer = world.auth_ops().get("/metrics").await;
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let relay = Relay::to(world.auth_grpc).await;
    let mut watcher =
        Watcher::current(&Grpc::at(relay.address).basic(BILLING.0, BILLING.1), hello("one")).await;
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    let has = |text: &str, lines: &[&str]| lines.iter().all(|line| text.contains(&format!("{line}\n")));
    until("one is behind", async || {
        let lines = [
            "countermark_watchers{state=\"connected\"} 1",
            "countermark_watchers_lag 1",
            "countermark_revocation_log_head 1",
            "countermark_signing_keys{state=\"active\"} 1",
        ];
        has(&metrics().await, &lines).then_some(())
    })
    .await;
    watcher.until_seq(1).await;
    watcher.confirm().await;
    relay.cut();
    until("it has acknowledged, and vanished", async || {
        has(
            &metrics().await,
            &[
                "countermark_watchers{state=\"vanished\"} 1",
                "countermark_watchers_lag 0",
                "countermark_signing_keys{state=\"next\"} 1",
            ],
        )
        .then_some(())
    })
    .await;
    world.stop().await;
}
