//! A database that went back: how that is noticed, what it stops, and what a recovery assumes.

use std::{fs, path::Path, time::Duration};

use countermark::clock::{Clock as _, SystemClock};
use countermark_proto::auth_v1::{Ack, Hello, Proof, watch_request::Request as WireRequest};
use countermark_service::database::rusqlite::Connection;
use serde_json::{Value, json};
use tests::{
    PATIENCE, World,
    grpc::Grpc,
    operator,
    process::{AUTH, Start},
    until,
    watcher::{Watcher, hello},
    world::{ADMIN, BILLING, Tokens},
};

fn billing(world: &World) -> Grpc {
    world.grpc().basic(BILLING.0, BILLING.1)
}

/// Copies the database, as a backup does.
fn copy(world: &World, name: &str) {
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    database.execute("VACUUM INTO ?1", [world.path(name).to_str().unwrap()]).unwrap();
}

/// Puts a copy in the place of the database.
fn put_back(world: &World, name: &str) {
    for left in ["auth.db-wal", "auth.db-shm"] {
        drop(fs::remove_file(world.path(left)));
    }
    let draft = world.path("auth.db.draft");
    fs::copy(world.path(name), &draft).unwrap();
    fs::rename(draft, world.path("auth.db")).unwrap();
}

/// What a failed start says.
async fn refusal(world: &mut World) -> String {
    format!("{:?}", world.start_auth().await.expect_err("it is refused"))
}

async fn recover(world: &World) -> Value {
    operator::json_of(world, &["recover"]).await
}

async fn log_out(world: &World) -> Tokens {
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    tokens
}

/// Waits until the service is not ready, and returns the reason.
async fn not_ready(world: &World) -> String {
    until("it is not ready", async || {
        let ready = world.auth_ops().get("/health/ready").await;
        (ready.status == 503).then(|| ready.text().to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_an_older_copy_is_refused_and_names_the_command() {
    let mut world = World::of_auth_alone(&[]).await;
    copy(&world, "copy.db");
    log_out(&world).await;
    world.stop_auth().await;
    put_back(&world, "copy.db");
    let said = refusal(&mut world).await;
    assert!(said.contains("auth-service recover") && said.contains("its mark has entry 1"), "{said}");
    let (code, _, error) = operator::run(&world, &["user", "list"]).await;
    assert!(code == 1 && error.contains("auth-service recover"), "{error}");
    recover(&world).await;
    world.start_auth().await.unwrap();
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_alone_is_missed_too() {
    // No entry of the log and no later second: the count of writes tells.
    let mut world = World::of_auth_alone(&[]).await;
    let first = world.login().await;
    copy(&world, "copy.db");
    let live = world.refresh(&first.refresh).await;
    world.stop_auth().await;
    put_back(&world, "copy.db");
    let said = refusal(&mut world).await;
    assert!(said.contains("writes"), "{said}");
    recover(&world).await;
    world.start_auth().await.unwrap();
    for token in [&first.refresh, &live.refresh] {
        assert_eq!(world.try_refresh(token).await.status, 401, "a spent token never lives again");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_content_after_a_step_back_has_another_tag() {
    let mut world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    copy(&world, "copy.db");
    let log_out = async |world: &World| {
        world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    };
    log_out(&world).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    let before = watcher.resume();
    world.stop_auth().await;
    // A volume snapshot takes the mark back, too.
    put_back(&world, "copy.db");
    fs::remove_file(world.path("auth.db.mark")).unwrap();
    world.start_auth().await.unwrap();
    log_out(&world).await;
    let without_proof = Hello { proof: None, ..before.clone() };
    let anew = Watcher::current(&billing(&world), without_proof).await;
    assert_eq!((anew.parts, anew.seq), (1, before.after_seq), "a snapshot, at the same number");
    assert_ne!(anew.tag, before.tag);
    assert_eq!(world.auth_ops().get("/health/ready").await.status, 200, "nothing was proven");

    // The proof is evidence: the issuer was at another entry of that number.
    let mut proving = Watcher::current(&billing(&world), before).await;
    let said = not_ready(&world).await;
    assert!(said.contains("one (billing) proved entry 1"), "{said}");
    proving.ack();
    let echoed = proving.until(|watcher| watcher.heartbeat.nonce.is_some());
    assert!(tokio::time::timeout(Duration::from_millis(200), echoed).await.is_err(), "no nonce is echoed");
    world
        .auth()
        .post("/login")
        .json(&json!({"email": "test@example.com", "password": "password"}))
        .await
        .is_unavailable();
    let (code, output, _) = operator::run(&world, &["doctor"]).await;
    assert!(code == 1 && output.contains("has lost writes"), "{output}");

    // A restart does not forget it.
    world.stop_auth().await;
    let said = refusal(&mut world).await;
    assert!(said.contains("proved entry 1"), "{said}");
    recover(&world).await;
    world.start_auth().await.unwrap();
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_not_proven_moves_nothing() {
    let world = World::of_auth_alone(&[]).await;
    log_out(&world).await;
    let watcher = Watcher::current(&billing(&world), hello("one")).await;
    let honest = watcher.resume();
    let authentic = honest.proof.clone().expect("a heartbeat has a proof");
    let ahead = Proof { seq: 900, ..authentic.clone() };
    let proofs = [
        ahead.clone(),
        Proof { mac: vec![0; 32], ..ahead.clone() },
        Proof { tag: vec![7; 16], ..authentic.clone() },
        Proof { log_id: vec![7; 16], ..authentic.clone() },
    ];
    for proof in proofs {
        for after_seq in [0, 1, 900] {
            let hello = Hello { after_seq, proof: Some(proof.clone()), ..honest.clone() };
            let mut anew = Watcher::current(&billing(&world), hello).await;
            anew.confirm().await;
            assert_eq!(anew.parts, usize::from(after_seq != 1));
        }
    }
    assert_eq!(world.auth_ops().get("/health/ready").await.status, 200);
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_under_a_running_service_stops_its_writes_and_its_heartbeats() {
    let mut world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    copy(&world, "copy.db");
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    put_back(&world, "copy.db");
    let said = not_ready(&world).await;
    assert!(said.contains("another file took the database's place"), "{said}");
    world.auth().post("/logout?wait=true").bearer(&tokens.access).await.is_unavailable();
    let nonce = watcher.ack();
    let echoed = watcher.until(|watcher| watcher.heartbeat.nonce == Some(nonce));
    assert!(tokio::time::timeout(Duration::from_millis(200), echoed).await.is_err(), "no nonce is echoed");
    // The copy lacks nothing that was answered but the row of the watcher: the start decides by the mark.
    world.stop_auth().await;
    drop(watcher);
    let said = refusal(&mut world).await;
    assert!(said.contains("auth-service recover"), "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authentic_refresh_token_that_is_newer_than_its_session_is_a_witness() {
    let mut world = World::of_auth_alone(&[]).await;
    let first = world.login().await;
    copy(&world, "copy.db");
    let live = world.refresh(&first.refresh).await;
    world.stop_auth().await;
    put_back(&world, "copy.db");
    fs::remove_file(world.path("auth.db.mark")).unwrap();
    world.start_auth().await.unwrap();
    // Its client keeps it: if the newer database comes back, it is the live one.
    world.try_refresh(&live.refresh).await.is_unavailable();
    let said = not_ready(&world).await;
    assert!(said.contains("newer than the session"), "{said}");
    world.auth().post("/refresh").bearer(&first.refresh).await.is_unavailable();
    // A recovery ends it beside the running service, too.
    recover(&world).await;
    let ready = async || (world.auth_ops().get("/health/ready").await.status == 200).then_some(());
    until("it is ready", ready).await;
    assert_eq!(world.try_refresh(&first.refresh).await.status, 401);
    // A minute passes by the monotonic clock, wherever the wall clock is set to.
    let reason = async || {
        let after = world.login().await;
        world.auth().post("/logout?wait=true").bearer(&after.access).await.is(200)["reason"].clone()
    };
    for hours in [24, 48] {
        world.clock.set(world.clock.now().after(Duration::from_hours(hours)));
        assert_eq!(reason().await, "recovered", "{hours}");
    }
    world.pass(Duration::from_secs(61));
    assert_eq!(reason().await, "unwatched", "nobody watches here");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_ends_what_may_be_lost_and_says_what_it_cannot_know() {
    let mut world = operator::world_of_today(&[]).await;
    world.stop_resource().await;
    let tokens = world.login().await;
    copy(&world, "copy.db");
    // A key that was stolen is revoked, and a session ends, in the part that is lost.
    let keys = world.auth().get("/.well-known/jwks.json").await.json();
    let kids: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    operator::json_of(&world, &["key", "revoke", kids[0].as_str().unwrap()]).await;
    let made_later = world.auth().get("/.well-known/jwks.json").await.json()["keys"].clone();
    world.stop_auth().await;
    put_back(&world, "copy.db");
    let done = recover(&world).await;
    assert_eq!(done["sessions_ended"], json!(1), "{done}");
    let revoked = done["keys_revoked"].as_array().unwrap();
    assert!(kids.iter().all(|kid| revoked.contains(kid)), "{done}");
    assert!(made_later.as_array().unwrap().iter().all(|key| revoked.contains(&key["kid"])), "{done}");
    assert_eq!(done["unknown"].as_array().unwrap().len(), 5);
    assert!(done["reason"].as_str().unwrap().contains("its mark has"), "{done}");
    world.start_auth_where_it_was().await;
    assert!(!world.introspect(&tokens.access).await.active);
    assert_eq!(world.try_refresh(&tokens.refresh).await.status, 401);
    let audited = operator::json_of(&world, &["audit"]).await;
    assert!(audited.to_string().contains("recovered"), "{audited}");
    // Verifiers that this database never saw may still accept tokens. For a minute nothing is complete. The command went by
    // the machine's clock.
    world.clock.set(SystemClock::new().now());
    let after = world.login().await;
    let answer = world.auth().post("/logout?wait=true").bearer(&after.access).await.is(200);
    assert_eq!((&answer["complete"], &answer["reason"]), (&json!(false), &json!("recovered")));
    world.pass(Duration::from_mins(3));
    let after = world.login().await;
    let answer = world.auth().post("/logout?wait=true").bearer(&after.access).await.is(200);
    assert_eq!(answer["reason"], "unwatched", "nobody watches here: {answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_and_the_proofs_of_a_log_that_was_given_up_are_satisfied() {
    let mut world = World::of_auth_alone(&[]).await;
    copy(&world, "copy.db");
    log_out(&world).await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    let before = watcher.resume();
    world.stop_auth().await;
    fs::copy(world.path("auth.db.mark"), world.path("kept.mark")).unwrap();
    put_back(&world, "copy.db");
    recover(&world).await;
    // The mark of a replica that has not been written since.
    fs::copy(world.path("kept.mark"), world.path("auth.db.mark")).unwrap();
    world.start_auth().await.unwrap();
    let mut anew = Watcher::current(&billing(&world), before).await;
    assert_eq!(anew.parts, 1);
    anew.confirm().await;
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_counts_for_its_position_alone() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let mut watcher = Watcher::current(&billing(&world), hello("one")).await;
    watcher.confirm().await;
    let request = world.auth().post("/logout?wait=true").bearer(&tokens.access);
    let answer = tokio::spawn(async { request.await });
    watcher.until_seq(1).await;
    for (log_id, tag) in [(vec![7; 16], watcher.tag.clone()), (watcher.log_id.clone(), vec![7; 16])] {
        watcher.say(WireRequest::Ack(Ack { acked_seq: 1, nonce: 77, log_id, tag, ..Ack::default() }));
        watcher.until(|watcher| watcher.heartbeat.nonce == Some(77)).await;
    }
    assert!(!answer.is_finished());
    watcher.confirm().await;
    assert_eq!(answer.await.unwrap().is(200)["complete"], json!(true));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_before_there_were_tags_gets_a_snapshot_and_is_waited_for() {
    let world = World::of_auth_alone(&[]).await;
    log_out(&world).await;
    let mut old = Watcher::current(&billing(&world), hello("old")).await;
    // It says a log and a number, as it always did.
    let hello = Hello { tag: Vec::new(), proof: None, ..old.resume() };
    old.goodbye();
    let mut old = Watcher::current(&billing(&world), hello).await;
    assert_eq!((old.parts, old.seq), (1, 1), "a snapshot at each connection");
    let tokens = world.login().await;
    let request = world.auth().post("/logout?wait=true").bearer(&tokens.access);
    let answer = tokio::spawn(async { request.await });
    old.until_seq(2).await;
    old.say(WireRequest::Ack(Ack { acked_seq: 2, nonce: 2, ..Ack::default() }));
    assert_eq!(answer.await.unwrap().is(200)["complete"], json!(true), "its stream says which log it means");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_beside_the_service_and_put_back_with_a_recovery() {
    let mut world = operator::world_of_today(&[]).await;
    let tokens = world.login().await;
    let to = world.path("backup.db");
    let to = to.to_str().unwrap();
    let made = operator::json_of(&world, &["backup", to]).await;
    assert!(made["bytes"].as_u64().unwrap() > 4_096, "{made}");
    assert_eq!(mode(Path::new(to)), 0o600);
    let (code, _, error) = operator::run(&world, &["backup", to]).await;
    assert!(code == 1 && error.contains("is there already"), "{error}");

    let (code, _, error) = operator::run(&world, &["restore", to]).await;
    assert!(code == 1 && error.contains("--force"), "{error}");
    let (code, _, error) = operator::run(&world, &["restore", to, "--force"]).await;
    assert!(code == 1 && error.contains("is in use; stop the service first"), "{error}");
    world.stop_auth().await;
    let (code, _, error) = operator::run(&world, &["restore", "/nowhere/backup.db", "--force"]).await;
    assert!(code == 1 && error.contains("is not there"), "{error}");
    let (code, _, error) =
        operator::run(&world, &["restore", world.path("bootstrap.toml").to_str().unwrap(), "--force"]).await;
    assert!(code == 1 && error.contains("not this program's database"), "{error}");
    let done = operator::json_of(&world, &["restore", to, "--force"]).await;
    assert!(fs::exists(done["replaced"].as_str().unwrap()).unwrap(), "{done}");
    assert_eq!(done["sessions_ended"], json!(1));
    world.start_auth_where_it_was().await;
    assert_eq!(world.try_refresh(&tokens.refresh).await.status, 401);
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_no_database_makes_none() {
    let mut world = World::of_auth_alone(&[]).await;
    world.stop_auth().await;
    world.set("AUTH_DATABASE_URL", &format!("sqlite://{}", world.path("mistyped.db").display()));
    let (code, _, error) = operator::run(&world, &["backup", world.path("b.db").to_str().unwrap()]).await;
    assert!(code == 1 && error.contains("mistyped.db is not there"), "{error}");
    assert!(!world.path("mistyped.db").exists() && !world.path("b.db").exists());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_cannot_be_written_is_a_gauge_and_a_finding_and_stops_nothing() {
    let world = World::of_auth_alone(&[]).await;
    world.login().await;
    let gauge = async || world.auth_ops().get("/metrics").await.text().contains("countermark_mark_failing 1");
    assert!(!gauge().await);
    fs::remove_file(world.path("auth.db.mark")).unwrap();
    fs::create_dir(world.path("auth.db.mark")).unwrap();
    let mut other = world.auth_settings();
    other.insert("AUTH_MARK_FILE".to_owned(), world.path("auth.db.mark").display().to_string());
    // The open file is gone, and can still be written. A process that opens it anew can't.
    let process = Start::of(AUTH).envs(other).listen().await;
    let login = json!({"email": ADMIN.0, "password": ADMIN.1});
    process.http().post("/login").json(&login).await.is(200);
    let metrics = process.ops().get("/metrics").await;
    assert!(metrics.text().contains("countermark_mark_failing 1"), "{}", metrics.text());
    let (code, output, _) = operator::run(&world, &["doctor"]).await;
    assert!(code == 1 && output.contains("auth.db.mark is behind the database or can't be read"), "{output}");
    process.stop().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_off_or_new_stops_nothing_and_one_of_another_database_does() {
    let mut world = World::of_auth_alone(&[("AUTH_MARK_FILE", "off")]).await;
    copy(&world, "copy.db");
    log_out(&world).await;
    assert!(!world.path("auth.db.mark").exists());
    world.stop_auth().await;
    put_back(&world, "copy.db");
    world.start_auth().await.expect("nothing witnesses it");
    world.stop_auth().await;
    world.unset("AUTH_MARK_FILE");
    world.start_auth().await.expect("a new mark is made");
    world.login().await;
    world.stop_auth().await;
    assert_eq!(mode(&world.path("auth.db.mark")), 0o600);
    // The disk was lost, and the mark was not.
    fs::remove_file(world.path("auth.db")).unwrap();
    let said = refusal(&mut world).await;
    assert!(said.contains("it is not there, and its mark"), "{said}");
    world.stop().await;
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
