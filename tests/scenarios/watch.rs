//! `auth.v1.Revocations/Watch`: a stream of revocations for verifiers in any language.

use std::time::Duration;

use countermark_proto::auth_v1::{Ack, Entry, Hello, entry::Matches, watch_request::Request as WireRequest};
use countermark_service::database::rusqlite::{Connection, TransactionBehavior, params};
use serde_json::{Value, json};
use tests::{
    PATIENCE, World,
    grpc::Grpc,
    operator, until,
    watcher::{Watcher, hello},
    world::{BEGINNING, BILLING, ISSUER, MUTE},
};
use tonic::Code;

fn billing(world: &World) -> Grpc {
    world.grpc().basic(BILLING.0, BILLING.1)
}

fn sid(claims: &Value) -> String {
    claims["sid"].as_str().unwrap().to_owned()
}

async fn log_out(world: &World) -> String {
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    sid(&tokens.claims())
}

/// Revokes `count` tokens in the database, as another process would.
fn revoke_many(world: &World, count: i64) {
    let mut database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    let tx = database.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let head: i64 = tx.query_row("SELECT head FROM revocation_log", [], |row| row.get(0)).unwrap();
    let expires_at = (BEGINNING + 900) * 1_000;
    for seq in head + 1..=head + count {
        tx.prepare_cached(
            "INSERT INTO revocations (seq, kind, subject, expires_at, random, tag)
                VALUES (?1, 'token', ?2, ?3, randomblob(8), randomblob(16))",
        )
        .unwrap()
        .execute(params![seq, format!("{seq:0>255}"), expires_at])
        .unwrap();
    }
    tx.execute(
        "UPDATE revocation_log SET head = head + ?1,
            tag = (SELECT tag FROM revocations ORDER BY seq DESC LIMIT 1)",
        [count],
    )
    .unwrap();
    tx.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_every_watcher_with_its_end() {
    let world = World::of_auth_alone(&[]).await;
    let mut watchers = Vec::new();
    for name in ["one", "two", "three"] {
        watchers.push(Watcher::current(&billing(&world), hello(name)).await);
    }
    let over = log_out(&world).await;
    for watcher in &mut watchers {
        watcher.until_seq(1).await;
        let matches = Some(Matches::Sid(over.clone()));
        // The longest access token lives for 900 s, and clocks may differ by 60 s.
        assert_eq!(watcher.entries[0], Entry { matches, expires_at: Some(BEGINNING + 960) });
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_revokes_reaches_a_watcher() {
    let world = operator::world_of_today(&[]).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    let session = sid(&world.login().await.claims());
    operator::json_of(&world, &["session", "revoke", &session]).await;
    watcher.until_seq(1).await;
    assert!(watcher.knows_of(&session));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_introspect_may_not_watch() {
    let world = World::of_auth_alone(&[]).await;
    let grpc = world.grpc();
    for (caller, code) in [
        (grpc.clone(), Code::Unauthenticated),
        (grpc.basic(BILLING.0, "wrong-secret-wrong-secret-wrong-secret-0"), Code::Unauthenticated),
        (grpc.basic(BILLING.0, BILLING.1).basic(BILLING.0, BILLING.1), Code::Unauthenticated),
        (grpc.bearer(&world.login().await.access), Code::Unauthenticated),
        (grpc.basic(MUTE.0, MUTE.1), Code::PermissionDenied),
    ] {
        let refused = Watcher::begin(&caller, hello("one")).await.expect_err("a refusal");
        assert_eq!(refused.code(), code, "{refused}");
    }
    let token = world.forge().token(&json!({
        "iss": ISSUER, "sub": BILLING.0, "aud": ISSUER, "client_id": BILLING.0, "jti": "1", "scope": "introspect",
        "iat": BEGINNING, "exp": BEGINNING + 900,
    }));
    Watcher::current(&grpc.bearer(&token), hello("one")).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_disabled_watches_no_more() {
    let world = World::of_auth_alone(&[]).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    let operator = world.operator().await;
    operator.disable_client(&operator.client(BILLING.0).unwrap()).await.unwrap();
    watcher.until(|watcher| watcher.seq == 1).await;
    let ended = async {
        loop {
            watcher.ack();
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(20), watcher.end()).await {
                return ended;
            }
        }
    };
    assert_eq!(ended.await.code(), Code::Unauthenticated);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_as_the_contract_has_it_is_refused() {
    let world = World::of_auth_alone(&[]).await;
    let grpc = billing(&world);
    let unspecified = Hello { policy: 0, ..hello("one") };
    let mut watcher = Watcher::begin(&grpc, unspecified).await.unwrap();
    assert_eq!(watcher.end().await.code(), Code::InvalidArgument);
    let mut watcher = Watcher::current(&grpc, hello("one")).await;
    watcher.say(WireRequest::Hello(hello("one")));
    assert_eq!(watcher.end().await.code(), Code::InvalidArgument, "a second hello");
    let mut watcher = Watcher::current(&grpc, hello("one")).await;
    watcher.say(WireRequest::Ack(Ack { acked_key_set: "k".repeat(64 * 1_024), ..Ack::default() }));
    assert_eq!(watcher.end().await.code(), Code::OutOfRange, "more than 64 KiB");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_goes_on_where_it_stood_and_one_that_can_not_gets_a_snapshot() {
    let world = World::of_auth_alone(&[]).await;
    let grpc = billing(&world);
    let first = log_out(&world).await;
    let mut watcher = Watcher::current(&grpc, hello("one")).await;
    assert_eq!((watcher.parts, watcher.seq), (1, 1));
    assert!(watcher.knows_of(&first));
    watcher.goodbye();
    assert_eq!(watcher.end().await.code(), Code::Ok);

    let second = log_out(&world).await;
    let resumed = Watcher::current(&grpc, watcher.resume()).await;
    assert_eq!((resumed.parts, resumed.seq), (0, 2));
    assert!(resumed.knows_of(&second) && !resumed.knows_of(&first), "what it lacked alone");
    for elsewhere in
        [Hello { log_id: vec![7; 16], ..watcher.resume() }, Hello { after_seq: 3, ..watcher.resume() }]
    {
        let anew = Watcher::current(&grpc, elsewhere).await;
        assert_eq!((anew.parts, anew.seq), (1, 2));
        assert!(anew.knows_of(&first) && anew.knows_of(&second));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_current_goes_on_across_a_restart() {
    let mut world = World::of_auth_alone(&[]).await;
    log_out(&world).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    world.stop_auth().await;
    assert_eq!(watcher.end().await.code(), Code::Unavailable, "it is notified that the service stops");
    world.start_auth().await.unwrap();
    let mut resumed = Watcher::current(&billing(&world), watcher.resume()).await;
    let over = log_out(&world).await;
    resumed.until_seq(2).await;
    assert!(resumed.knows_of(&over));
    assert_eq!(resumed.parts, 0, "no snapshot was needed");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_ends_the_watch_and_a_snapshot_of_it_begins_the_next() {
    let world = World::of_auth_alone(&[]).await;
    let over = log_out(&world).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    // A restored backup has another log id and an older head.
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    database
        .execute_batch("DELETE FROM revocations; UPDATE revocation_log SET log_id = zeroblob(16), head = 0")
        .unwrap();
    assert_eq!(watcher.end().await.code(), Code::Unavailable);
    let anew = Watcher::current(&billing(&world), watcher.resume()).await;
    assert_eq!((anew.log_id.as_slice(), anew.seq, anew.parts), ([0; 16].as_slice(), 0, 1));
    assert!(!anew.knows_of(&over));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_comes_back_after_everything_that_was_revoked_before_it() {
    let world = World::of_auth_alone(&[]).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    for seq in 1..=50 {
        // Another process wrote the entry, so this process must read the log before it echoes the nonce.
        revoke_many(&world, 1);
        watcher.confirm().await;
        assert_eq!(watcher.seq, seq);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_can_not_be_read_no_nonce_comes_back() {
    let world = World::of_auth_alone(&[]).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    std::fs::rename(world.path("auth.db"), world.path("away")).unwrap();
    until("the service has noticed", async || {
        (world.auth_ops().get("/health/ready").await.status == 503).then_some(())
    })
    .await;
    let nonce = watcher.ack();
    // For half a second the service finds that the log cannot be read.
    let silence = tokio::time::timeout(Duration::from_millis(500), watcher.receive()).await;
    assert!(silence.is_err(), "{silence:?}");
    std::fs::rename(world.path("away"), world.path("auth.db")).unwrap();
    let later = watcher.ack();
    assert_eq!(later, nonce + 1);
    watcher.until(|watcher| watcher.heartbeat.nonce == Some(later)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_holds_nobody_up_and_has_everything_when_it_does() {
    let world = World::of_auth_alone(&[]).await;
    let mut slow = Watcher::current(&billing(&world), hello("slow")).await;
    let mut quick = Watcher::current(&billing(&world), hello("quick")).await;
    // Far more than the connection's buffers hold, and more than the service keeps for slow watchers.
    for seq in [5_000, 10_000, 15_000, 20_000] {
        revoke_many(&world, 5_000);
        quick.until_seq(seq).await;
    }
    assert_eq!(quick.parts, 1, "the empty one that it began with");
    let over = log_out(&world).await;
    quick.until_seq(20_001).await;
    slow.until_seq(20_001).await;
    assert!(slow.knows_of(&over) && quick.knows_of(&over));
    assert!(slow.parts > 1, "it had fallen too far behind, and got a snapshot");
    assert_eq!(slow.entries.len(), 20_001);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_comes_in_parts_of_a_mebibyte_at_most() {
    let world = World::of_auth_alone(&[]).await;
    let mut first = Watcher::current(&billing(&world), hello("first")).await;
    revoke_many(&world, 10_000);
    first.until_seq(10_000).await;
    let watcher = Watcher::current(&billing(&world), hello("one")).await;
    assert_eq!((watcher.parts, watcher.seq, watcher.entries.len()), (4, 10_000, 10_000));
    let bytes: usize = watcher.entries.iter().map(prost::Message::encoded_len).sum();
    // Three bytes more for each entry, and the rest of the message.
    assert!(bytes / 10_000 * 3_000 + 3 * 3_000 + 100 < 1_024 * 1_024, "{bytes}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_falls_silent_is_dropped_and_one_that_acknowledges_is_not() {
    let world = World::of_auth_alone(&[]).await;
    let mut silent = Watcher::current(&billing(&world), hello("silent")).await;
    let mut awake = Watcher::current(&billing(&world), hello("awake")).await;
    silent.confirm().await;
    world.pass(Duration::from_secs(11));
    let (ended, ()) = tokio::join!(silent.end(), awake.confirm());
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    awake.confirm().await;
    world.stop().await;
}
