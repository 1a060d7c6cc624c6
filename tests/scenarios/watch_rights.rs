//! Who may watch the revocations, for how long, and what a watcher learns.

use std::time::Duration;

use countermark::clock::{Clock as _, SystemClock};
use countermark_proto::auth_v1::{
    Ack, Fingerprint, Hello, entry::Matches, watch_request::Request as WireRequest,
};
use countermark_service::database::rusqlite::Connection;
use serde_json::{Value, json};
use tests::{
    World,
    grpc::Grpc,
    operator::{self, json_of},
    until,
    watcher::{Watcher, hello},
    world::{BILLING, RESOURCE, bootstrap},
};
use tonic::{Code, Status};

/// A client with the scope `watch` alone.
const MIRROR: (&str, &str) = ("mirror", "mirror-secret-mirror-secret-mirror-secret");

async fn world(settings: &[(&str, &str)]) -> World {
    let mut world = World::of_auth_alone(settings).await;
    let more = format!(
        "[[clients]]\nid = \"{}\"\nsecret = \"{}\"\ngrants = [\"client_credentials\"]\nscopes = [\"watch\"]\n",
        MIRROR.0, MIRROR.1
    );
    std::fs::write(world.path("bootstrap.toml"), [bootstrap(), more].concat()).unwrap();
    world.restart().await;
    world
}

fn by_secret(world: &World, (id, secret): (&str, &str)) -> Grpc {
    world.grpc().basic(id, secret)
}

/// Acknowledges until the stream ends. Returns its status.
async fn ends(watcher: &mut Watcher) -> Status {
    until("the end of the stream", async || {
        watcher.ack();
        tokio::time::timeout(Duration::from_millis(20), watcher.end()).await.ok()
    })
    .await
}

async fn service_token(world: &World, (id, secret): (&str, &str), scope: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    let answer = world.auth().post("/oauth/token").basic((id, secret)).form(&form).await.is(200);
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_scope_watch_watches_and_asks_nothing() {
    let world = world(&[]).await;
    let token = world.login().await.access;
    let service_token = service_token(&world, MIRROR, "watch").await;
    for caller in [by_secret(&world, MIRROR), world.grpc().bearer(&service_token)] {
        Watcher::current(&caller, hello("one")).await;
        let refused = caller.introspect(&token).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().ends_with("the scope introspect"), "{refused}");
    }
    let answer = world.auth().post("/oauth/introspect").basic(MIRROR).form(&[("token", &token)]).await;
    answer.refuses_as_oauth(403, "insufficient_scope");
    // A token has the scopes that it was asked for, however many its client has.
    let other = self::service_token(&world, RESOURCE, "introspect").await;
    world.grpc().bearer(&other).introspect(&token).await.unwrap();
    let unasked =
        world.auth().post("/oauth/token").basic(MIRROR).form(&[("grant_type", "client_credentials")]);
    unasked.await.refuses_as_oauth(400, "invalid_scope");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scope_introspect_is_enough_until_the_scope_watch_is_required() {
    let mut world = world(&[]).await;
    world.clock.set(SystemClock::new().now());
    let _watcher = Watcher::current(&by_secret(&world, BILLING), hello("one")).await;
    let _other = Watcher::current(&by_secret(&world, MIRROR), hello("two")).await;
    let (_, found, _) = operator::run(&world, &["doctor", "--json"]).await;
    let found: Value = serde_json::from_str(&found).unwrap();
    let warnings = found["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings[0].as_str().unwrap();
    assert!(
        warning.contains("client billing") && warning.contains("scopes = [\"introspect\", \"watch\"]"),
        "{warning}"
    );
    world.set("AUTH_WATCH_SCOPE", "require");
    world.restart().await;
    let refused = Watcher::begin(&by_secret(&world, BILLING), hello("one")).await;
    let refused = match refused {
        Ok(mut watcher) => watcher.end().await,
        Err(status) => status,
    };
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().ends_with("the scope watch"), "{refused}");
    world.grpc().basic(BILLING.0, BILLING.1).introspect(&world.login().await.access).await.unwrap();
    json_of(&world, &["client", "add-scope", BILLING.0, "--scope", "watch"]).await;
    until("it may watch", async || {
        let mut watcher = Watcher::begin(&by_secret(&world, BILLING), hello("one")).await.ok()?;
        tokio::time::timeout(Duration::from_secs(1), watcher.receive()).await.ok()?.ok()
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_audience_may_own_a_scope_that_is_built_in() {
    let world = operator::world_of_today(&[]).await;
    for scope in ["watch", "introspect"] {
        let (code, _, error) = operator::run(&world, &["audience", "add", "tower", "--scope", scope]).await;
        assert!(code != 0 && error.contains(scope) && error.contains("built in"), "{code} {error}");
    }
    let (code, _, error) =
        operator::run(&world, &["client", "add-scope", BILLING.0, "--scope", "nobodys"]).await;
    assert!(code != 0 && error.contains("nobodys"), "{code} {error}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_secret_is_retired_and_goes_on_with_the_newest() {
    let world = world(&[]).await;
    let mut old = Watcher::current(&by_secret(&world, BILLING), hello("old")).await;
    let rotate = ["client", "rotate-secret", BILLING.0];
    let newest = json_of(&world, &rotate).await["secret"].as_str().unwrap().to_owned();
    let mut new = until("the new secret", async || {
        let caller = by_secret(&world, (BILLING.0, &newest));
        Watcher::begin(&caller, hello("new")).await.ok()
    })
    .await;
    old.confirm().await;
    new.until(|watcher| !watcher.heartbeat.key_set_version.is_empty()).await;
    json_of(&world, &["client", "rotate-secret", BILLING.0, "--finish"]).await;
    assert_eq!(ends(&mut old).await.code(), Code::Unauthenticated);
    new.confirm().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_is_revoked_or_expires() {
    let world = world(&[]).await;
    let (revoked, expired) =
        (service_token(&world, MIRROR, "watch").await, service_token(&world, MIRROR, "watch").await);
    let mut first = Watcher::current(&world.grpc().bearer(&revoked), hello("first")).await;
    let mut second = Watcher::current(&world.grpc().bearer(&expired), hello("second")).await;
    revoke(&world, MIRROR, &revoked).await;
    assert_eq!(ends(&mut first).await.code(), Code::Unauthenticated);
    second.confirm().await;
    world.pass(Duration::from_hours(1));
    assert_eq!(ends(&mut second).await.code(), Code::Unauthenticated);
    let refused = Watcher::begin(&world.grpc().bearer(&expired), hello("third")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    world.stop().await;
}

async fn revoke(world: &World, client: (&str, &str), token: &str) {
    let answer = world.auth().post("/oauth/revoke").basic(client).form(&[("token", token)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn fingerprint(kind: u8, subject: &Value) -> Vec<u8> {
    tests::jws::sha256(&[&[kind], subject.as_str().unwrap().as_bytes()].concat())[..16].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_takes_fingerprints_learns_no_name() {
    let world = world(&[]).await;
    let caller = by_secret(&world, MIRROR);
    let taking = || Hello { takes_fingerprints: true, ..hello("taking") };
    let mut taker = Watcher::current(&caller, taking()).await;
    let mut plain = Watcher::current(&caller, hello("plain")).await;
    let tokens = world.login().await;
    let (sid, sub) = (tokens.claims()["sid"].clone(), tokens.claims()["sub"].clone());
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    let again = world.login().await;
    world.auth().post("/logout-all").bearer(&again.access).await.is(200);
    let token = service_token(&world, BILLING, "documents:read").await;
    revoke(&world, BILLING, &token).await;
    let jti = tests::jws::payload(&token)["jti"].clone();
    world.operator().await.revoke_client_tokens(&BILLING.0.parse().unwrap()).await.unwrap();
    for watcher in [&mut taker, &mut plain] {
        watcher.until_seq(4).await;
    }
    let named = |matches: &Matches| match matches {
        Matches::Sid(sid) => fingerprint(2, &json!(sid)),
        Matches::Jti(jti) => fingerprint(1, &json!(jti)),
        Matches::Account(before) => fingerprint(4, &json!(before.subject)),
        Matches::Client(before) => fingerprint(3, &json!(before.subject)),
        other => panic!("{other:?}"),
    };
    let up_to = |matches: &Matches| match matches {
        Matches::Account(before) | Matches::Client(before) => Some(before.at),
        _ => None,
    };
    let fingerprints: Vec<_> = taker.entries.iter().map(|entry| entry.matches.clone().unwrap()).collect();
    let names: Vec<_> = plain.entries.iter().map(|entry| entry.matches.clone().unwrap()).collect();
    for (taken, name) in fingerprints.iter().zip(&names) {
        let wanted = Fingerprint { bytes: named(name), up_to: up_to(name) };
        assert_eq!(*taken, Matches::Fingerprint(wanted), "{name:?}");
    }
    let wanted =
        [fingerprint(2, &sid), fingerprint(4, &sub), fingerprint(1, &jti), fingerprint(3, &json!(BILLING.0))];
    assert_eq!(names.iter().map(named).collect::<Vec<_>>(), wanted);
    let anew = Watcher::current(&caller, taking()).await;
    assert_eq!(anew.entries, taker.entries, "a snapshot names nobody, either");
    assert_eq!(
        taker.entries.iter().map(|entry| entry.expires_at).collect::<Vec<_>>(),
        plain.entries.iter().map(|entry| entry.expires_at).collect::<Vec<_>>()
    );
    world.stop().await;
}

/// Acknowledges what it was sent, and never a key set.
fn without_keys(mut watcher: Watcher) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut nonce = 1_000;
        loop {
            nonce += 1;
            let (acked_seq, log_id, tag) = (watcher.seq, watcher.log_id.clone(), watcher.tag.clone());
            watcher.say(WireRequest::Ack(Ack { acked_seq, nonce, log_id, tag, ..Ack::default() }));
            let _ = tokio::time::timeout(Duration::from_millis(100), watcher.receive()).await;
        }
    })
}

fn kid(token: &str) -> String {
    tests::jws::header(token)["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_never_takes_the_keys_holds_a_rotation_for_the_stated_patience() {
    let world = world(&[("AUTH_ROTATION_PATIENCE", "2h")]).await;
    let held_up = without_keys(Watcher::current(&by_secret(&world, MIRROR), hello("stubborn")).await);
    let old = kid(&world.login().await.access);
    let next = until("a next key", async || {
        let keys = world.operator().await.keys.key_statuses().unwrap();
        keys.iter().find(|key| key.state().as_str() == "next").map(|key| key.key.kid.to_string())
    })
    .await;
    until("both are published", async || {
        let keys = world.auth().get("/.well-known/jwks.json").await.is(200);
        (keys["keys"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    world.operator().await.keys.start_rotation().await.unwrap();
    // All checks within half a second find that it is too early.
    let still_old = async || {
        for _ in 0..10 {
            tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await.unwrap_err();
            assert_eq!(kid(&world.login().await.access), old);
        }
    };
    // The key may sign after 301 s, and the patience begins there. A wall clock that is set ahead doesn't end it.
    world.pass(Duration::from_secs(301));
    still_old().await;
    let now = world.clock.now();
    world.clock.set(now.after(Duration::from_hours(24)));
    still_old().await;
    world.clock.set(now);
    world.pass(Duration::from_hours(2) - Duration::from_millis(100));
    still_old().await;
    let findings = world.operator().await.diagnose().await.unwrap().findings;
    let named = |sentence: &String| {
        sentence.starts_with("stubborn (mirror)") && sentence.contains("AUTH_ROTATION_PATIENCE")
    };
    assert!(findings.iter().map(ToString::to_string).any(|sentence| named(&sentence)), "{findings:?}");
    world.pass(Duration::from_millis(100));
    until("it signs", async || (kid(&world.login().await.access) == next).then_some(())).await;
    held_up.abort();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_acknowledges_nothing_gets_no_entry_after_its_secret_is_retired() {
    let world = world(&[]).await;
    let caller = by_secret(&world, BILLING);
    let mut silent = Watcher::current(&caller, hello("silent")).await;
    let operator = world.operator().await;
    let client = operator.client(BILLING.0).unwrap();
    operator.rotate_secret(&client).await.unwrap();
    operator.finish_rotation(&client).await.unwrap();
    until("the secret is refused", async || {
        let refused = caller.introspect(&world.login().await.access).await.err()?;
        (refused.code() == Code::Unauthenticated).then_some(())
    })
    .await;
    world.pass(Duration::from_secs(1));
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    assert_eq!(silent.end().await.code(), Code::Unauthenticated);
    assert!(silent.entries.is_empty(), "{:?}", silent.entries);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_an_audience_owned_before_it_was_built_in_stays_its_own_and_permits_no_watching() {
    let mut world = world(&[("AUTH_WATCH_SCOPE", "require")]).await;
    world.stop_auth().await;
    // An older version let an audience own it, and a client have it.
    let database = Connection::open(world.path("auth.db")).unwrap();
    database
        .execute_batch(
            "INSERT INTO audiences (id) VALUES ('tower');
             INSERT INTO scopes (name, audience_id, is_default) VALUES ('watch', 'tower', 0);",
        )
        .unwrap();
    database.execute("UPDATE clients SET audiences = '[\"tower\"]' WHERE id = ?1", [MIRROR.0]).unwrap();
    drop(database);
    std::fs::write(world.path("bootstrap.toml"), bootstrap()).unwrap();
    world.start_auth().await.unwrap();
    let token = service_token(&world, MIRROR, "watch").await;
    assert_eq!(tests::jws::payload(&token)["aud"], "tower");
    let refused = match Watcher::begin(&by_secret(&world, MIRROR), hello("one")).await {
        Ok(mut watcher) => watcher.end().await,
        Err(status) => status,
    };
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let warnings = world.operator().await.diagnose().await.unwrap().warnings;
    let sentences: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        sentences.iter().any(|sentence| sentence.contains("tower owns the scope watch")),
        "{sentences:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_can_verify_no_algorithm_in_use_holds_nothing_up() {
    let world = world(&[]).await;
    let odd = Hello { algorithms: vec!["ES256".to_owned()], ..hello("odd") };
    let mut odd = Watcher::current(&by_secret(&world, MIRROR), odd).await;
    let kept = tokio::spawn(async move {
        loop {
            odd.ack();
            let _ = tokio::time::timeout(Duration::from_millis(50), odd.receive()).await;
        }
    });
    let old = kid(&world.login().await.access);
    until("a next key", async || {
        let keys = world.operator().await.keys.key_statuses().unwrap();
        keys.iter().any(|key| key.state().as_str() == "next").then_some(())
    })
    .await;
    world.operator().await.keys.start_rotation().await.unwrap();
    world.pass(Duration::from_secs(301));
    until("it signs", async || (kid(&world.login().await.access) != old).then_some(())).await;
    kept.abort();
    world.stop().await;
}
