//! `?wait=true` and `--wait`: the answer comes when every verifier that watches has applied the revocation.

use std::{future::IntoFuture as _, time::Duration};

use countermark::clock::Timestamp;
use countermark_proto::auth_v1::{Ack, Hello, StalePolicy, watch_request::Request as WireRequest};
use serde_json::{Value, json};
use tests::{
    Answer, Http, World,
    grpc::Grpc,
    operator,
    process::{AUTH, Start},
    relay::Relay,
    until,
    watcher::{Watcher, hello},
    world::{ADMIN, BEGINNING, BILLING, PLAIN, RESOURCE, Tokens},
};
use tokio::task::JoinHandle;

fn billing(world: &World) -> Grpc {
    world.grpc().basic(BILLING.0, BILLING.1)
}

fn allowing(name: &str) -> Hello {
    Hello { policy: StalePolicy::Allow.into(), ..hello(name) }
}

/// Logs out in the background with `?wait=true`.
fn log_out(http: &Http, tokens: &Tokens) -> JoinHandle<Answer> {
    let request = http.post("/logout?wait=true").bearer(&tokens.access);
    tokio::spawn(async { request.await })
}

/// Moves the clock by 250 ms again and again until there is an answer.
async fn answer_in_time(world: &World, answer: JoinHandle<Answer>) -> Value {
    until("an answer", async || {
        world.pass(Duration::from_millis(250));
        answer.is_finished().then_some(())
    })
    .await;
    answer.await.unwrap().is(200)
}

fn yes() -> Value {
    json!({"complete": true, "unconfirmed": []})
}

fn no(name: &str, policy: &str) -> Value {
    json!({"complete": false, "unconfirmed": [{"name": name, "policy": policy}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_complete_when_every_watcher_has_acknowledged_and_not_before() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let mut one = Watcher::current(&billing(&world), hello("one")).await;
    let mut two = Watcher::current(&billing(&world), allowing("two")).await;
    let answer = log_out(world.auth(), &tokens);
    one.until_seq(1).await;
    two.until_seq(1).await;
    one.confirm().await;
    assert!(!answer.is_finished(), "one has not acknowledged");
    two.confirm().await;
    assert_eq!(answer.await.unwrap().is(200), yes());
    // The session is over already. The barrier covers everything that was revoked until now.
    assert_eq!(log_out(world.auth(), &tokens).await.unwrap().is(200), yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_that_nobody_watches_for_is_named_at_once() {
    let world = World::of_auth_alone(&[("AUTH_AUDIENCE", "resource-service,bare")]).await;
    let tokens = world.login().await;
    let unwatched = |audiences: Value| json!({"complete": false, "unconfirmed": [], "unwatched": audiences, "reason": "unwatched"});
    let said = log_out(world.auth(), &tokens).await.unwrap().is(200);
    assert_eq!(said, unwatched(json!(["resource-service", "bare"])));

    // One that watches for one of them.
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    let tokens = world.login().await;
    let answer = log_out(world.auth(), &tokens);
    watcher.until_seq(2).await;
    watcher.confirm().await;
    assert_eq!(answer.await.unwrap().is(200), unwatched(json!(["bare"])));

    let mut all = Watcher::current(&world.grpc().basic(RESOURCE.0, RESOURCE.1), hello("two")).await;
    all.confirm().await;
    assert_eq!(log_out(world.auth(), &tokens).await.unwrap().is(200), yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_ends_a_session_can_wait() {
    let world = World::of_auth_alone(&[]).await;
    let http = world.auth();
    let (one, two) = (world.login().await, world.login().await);
    let mut watcher = Watcher::current(&billing(&world), allowing("one")).await;
    let other = two.claims()["sid"].as_str().unwrap().to_owned();
    let change = json!({"current_password": ADMIN.1, "new_password": "a new pass phrase"});
    for (seq, request) in [
        (Some(1), http.delete(&format!("/sessions/{other}?wait=true")).bearer(&one.access)),
        // This ends the other sessions, and there are none left.
        (None, http.post("/password?wait=true").bearer(&one.access).json(&change)),
        (Some(2), http.post("/logout-all?wait=true").bearer(&one.access)),
    ] {
        let answer = tokio::spawn(async { request.await });
        if let Some(seq) = seq {
            watcher.until_seq(seq).await;
            assert!(!answer.is_finished());
            watcher.confirm().await;
        }
        assert_eq!(answer.await.unwrap().is(200), yes());
    }
    let refused = http.post("/logout?wait=perhaps").bearer(&one.access).await;
    assert_eq!(refused.status, 400);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_denies_is_waited_for_until_it_denies() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let mut silent = Watcher::current(&billing(&world), hello("silent")).await;
    silent.confirm().await;
    world.pass(Duration::from_secs(3));
    let answer = log_out(world.auth(), &tokens);
    silent.until_seq(1).await;
    // The verifier's own bound of 5 s, and 1 s for requests in flight.
    world.pass(Duration::from_secs(3));
    assert!(!answer.is_finished());
    world.pass(Duration::from_millis(1));
    assert_eq!(answer.await.unwrap().is(200), yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_allows_and_says_nothing_is_named() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let mut silent = Watcher::current(&billing(&world), allowing("silent")).await;
    silent.confirm().await;
    let answer = log_out(world.auth(), &tokens);
    silent.until_seq(1).await;
    assert_eq!(answer_in_time(&world, answer).await, no("silent", "allow"));
    // An acknowledgement that comes late still counts.
    silent.confirm().await;
    assert_eq!(log_out(world.auth(), &tokens).await.unwrap().is(200), yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_vanished_counts_until_it_is_back_and_one_that_left_does_not() {
    let mut world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let mut left = Watcher::current(&billing(&world), allowing("left")).await;
    left.confirm().await;
    left.goodbye();
    left.end().await;
    let relay = Relay::to(world.auth_grpc).await;
    let relayed = Grpc::at(relay.address).basic(BILLING.0, BILLING.1);
    let mut vanished = Watcher::current(&relayed, allowing("vanished")).await;
    vanished.confirm().await;
    let back = vanished.resume();
    relay.cut();
    let answer = log_out(world.auth(), &tokens);
    assert_eq!(answer_in_time(&world, answer).await, no("vanished", "allow"));
    // A process that knows this watcher from the database only must name it too.
    world.stop_auth().await;
    world.start_auth().await.unwrap();
    let answer = log_out(world.auth(), &tokens);
    assert_eq!(answer_in_time(&world, answer).await, no("vanished", "allow"));

    let mut back = Watcher::current(&billing(&world), back).await;
    back.until_seq(1).await;
    back.confirm().await;
    assert_eq!(log_out(world.auth(), &tokens).await.unwrap().is(200), yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_back_before_its_first_stream_breaks_counts_once_with_the_clock_set_back_too() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let relay = Relay::to(world.auth_grpc).await;
    let relayed = Grpc::at(relay.address).basic(BILLING.0, BILLING.1);
    let mut first = Watcher::current(&relayed, allowing("one")).await;
    first.confirm().await;
    world.clock.set(Timestamp::from_unix_seconds(BEGINNING - 600));
    let mut back = Watcher::current(&billing(&world), first.resume()).await;
    back.confirm().await;
    relay.cut();
    let logout = log_out(world.auth(), &world.refresh(&tokens.refresh).await);
    back.until_seq(1).await;
    back.confirm().await;
    assert_eq!(answer_in_time(&world, logout).await, yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_of_another_log_or_ahead_of_this_one_counts_for_nothing() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let elsewhere = Hello { log_id: vec![7; 16], after_seq: 900, ..allowing("one") };
    let mut watcher = Watcher::current(&billing(&world), elsewhere).await;
    for acked_seq in [1, 900, u64::MAX] {
        watcher.say(WireRequest::Ack(Ack { acked_seq, nonce: acked_seq, ..Ack::default() }));
        watcher.until(|watcher| watcher.heartbeat.nonce == Some(acked_seq)).await;
    }
    let answer = log_out(world.auth(), &tokens);
    assert_eq!(answer_in_time(&world, answer).await, no("one", "allow"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_at_another_process_is_waited_for_and_one_that_died_with_it_is_named() {
    let mut world = World::of_auth_alone(&[]).await;
    world.halt().await;
    let issuer = async || Start::of(AUTH).envs(world.auth_settings()).listen().await;
    let (here, there) = (issuer().await, issuer().await);
    let login = json!({"email": ADMIN.0, "password": ADMIN.1});
    let log_in = async || Tokens::of(&here.http().post("/login").json(&login).await);
    let (one, two) = (log_in().await, log_in().await);
    let grpc = there.grpc().basic(BILLING.0, BILLING.1);
    let mut watcher = Watcher::current(&grpc, allowing("there")).await;
    watcher.confirm().await;
    let answer = log_out(&here.http(), &one);
    watcher.until_seq(1).await;
    assert!(!answer.is_finished());
    watcher.confirm().await;
    assert_eq!(answer.await.unwrap().is(200), yes());

    drop(there); // The process is killed without a goodbye.
    let answer = log_out(&here.http(), &two).await.unwrap();
    assert_eq!(answer.is(200), no("there", "allow"));
    here.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_waits_too() {
    let world = operator::world_of_today(&[]).await;
    let revoke = async |tokens: &Tokens| {
        let session = tokens.claims()["sid"].as_str().unwrap().to_owned();
        operator::run(&world, &["session", "revoke", &session, "--wait", "--json"]).await
    };
    let (one, two) = (world.login().await, world.login().await);
    let mut watcher = Watcher::current(&billing(&world), allowing("one")).await;
    watcher.confirm().await;
    let acknowledging = async {
        watcher.until_seq(1).await;
        watcher.confirm().await;
    };
    let ((code, output, error), ()) = tokio::join!(revoke(&one), acknowledging);
    assert_eq!(code, 0, "{error}");
    let said: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&said["ended"], &said["complete"]), (&json!(true), &json!(true)));

    let (code, output, error) = revoke(&two).await;
    assert_eq!(code, 1);
    let said: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(said["unconfirmed"], no("one", "allow")["unconfirmed"]);
    assert!(error.contains("not every verifier has confirmed"), "{error}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_of_an_account_wait_and_a_ninth_is_answered_at_once() {
    let world = World::of_auth_alone(&[]).await;
    let mut sessions = Vec::new();
    for _ in 0..9 {
        sessions.push(world.login().await);
    }
    let other = world.login_as(PLAIN).await;
    let mut watcher = Watcher::current(&billing(&world), allowing("one")).await;
    let waiting: Vec<_> = sessions[..8].iter().map(|tokens| log_out(world.auth(), tokens)).collect();
    watcher.until_seq(8).await;
    let busy = json!({"complete": false, "unconfirmed": [], "reason": "busy"});
    let ninth = world.auth().post("/logout?wait=true").bearer(&sessions[8].access).await.is(200);
    assert_eq!(ninth, busy);
    assert_eq!(
        world.auth().get("/me").bearer(&sessions[8].access).await.status,
        401,
        "it is over all the same"
    );
    // Another account has places of its own.
    let of_other = log_out(world.auth(), &other);
    watcher.until_seq(10).await;
    watcher.confirm().await;
    for answer in waiting.into_iter().chain([of_other]) {
        assert_eq!(answer.await.unwrap().is(200), yes());
    }
    // The places are free again.
    let tokens = world.login().await;
    let again = log_out(world.auth(), &tokens);
    watcher.until_seq(11).await;
    watcher.confirm().await;
    assert_eq!(again.await.unwrap().is(200), yes());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_hang_up_leave_their_places() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let mut watcher = Watcher::current(&billing(&world), allowing("one")).await;
    for _ in 0..3 {
        let waiting: Vec<_> = (0..8).map(|_| log_out(world.auth(), &tokens)).collect();
        watcher.until_seq(1).await;
        let other = world.login().await;
        until("all places are taken", async || {
            let answer = log_out(world.auth(), &tokens);
            let answer = tokio::time::timeout(Duration::from_millis(100), answer).await.ok()?.unwrap();
            (answer.is(200)["reason"] == "busy").then_some(())
        })
        .await;
        waiting.iter().for_each(JoinHandle::abort);
        until("they have left", async || {
            let waiting = log_out(world.auth(), &other);
            tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err().then_some(())
        })
        .await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_waits_for_nothing_that_came_later() {
    let world = World::of_auth_alone(&[]).await;
    let (first, second, third) = (world.login().await, world.login().await, world.login().await);
    let mut watcher = Watcher::current(&billing(&world), allowing("one")).await;
    world.auth().post("/logout").bearer(&first.access).await.is(200);
    watcher.until_seq(1).await;
    watcher.confirm().await;
    // What comes now is not acknowledged.
    world.auth().post("/logout").bearer(&second.access).await.is(200);
    watcher.until_seq(2).await;
    for token in [&first.access, &first.refresh] {
        assert_eq!(world.auth().post("/logout?wait=true").bearer(token).await.is(200), yes());
    }
    let again = world.auth().post("/logout?wait=true").bearer(&second.access).into_future();
    let again = tokio::spawn(again);
    assert_eq!(answer_in_time(&world, again).await, no("one", "allow"));
    // The same after all sessions ended at once.
    world.auth().post("/logout-all").bearer(&third.access).await.is(200);
    watcher.until_seq(3).await;
    watcher.confirm().await;
    let other = world.login_as(PLAIN).await;
    world.auth().post("/logout").bearer(&other.access).await.is(200);
    watcher.until_seq(4).await;
    for token in [&third.access, &third.refresh] {
        assert_eq!(world.auth().post("/logout?wait=true").bearer(token).await.is(200), yes());
    }
    watcher.confirm().await;
    assert_eq!(watcher.seq, 4, "none of them was logged again");
    world.stop().await;
}
