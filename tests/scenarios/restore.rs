//! Backups that are put back, recoveries that break off, and the commands of the runbook.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use auth_service::app::{Purpose, open_for};
use countermark::clock::{Clock as _, Timestamp};
use countermark_service::{database::rusqlite::Connection, env::Env};
use serde_json::Value;
use tests::{
    World,
    operator::{json_of, run, world_of_today},
    until,
    world::{PLAIN, auth_config},
};

/// Copies the database, as a backup does.
fn copy(world: &World, name: &str) {
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(tests::PATIENCE).unwrap();
    database.execute("VACUUM INTO ?1", [world.path(name).to_str().unwrap()]).unwrap();
}

/// Puts a copy in the place of the database of a service that is stopped.
fn put_back(world: &World, name: &str) {
    for left in ["auth.db-wal", "auth.db-shm"] {
        drop(fs::remove_file(world.path(left)));
    }
    fs::copy(world.path(name), world.path("auth.db")).unwrap();
}

async fn back_up(world: &World) -> String {
    let path = world.path("backup.db").to_str().unwrap().to_owned();
    json_of(world, &["backup", &path]).await;
    path
}

fn names(folder: &Path) -> BTreeSet<String> {
    folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_changes_nothing() {
    let mut world = World::of_auth_alone(&[]).await;
    let backup = back_up(&world).await;
    let tokens = world.login().await;
    world.halt().await;
    let mut damaged = fs::read(&backup).unwrap();
    let half = damaged.len() / 2;
    damaged[half..half + 9_000].fill(0xa5);
    fs::write(world.path("damaged.db"), damaged).unwrap();
    fs::write(world.path("text.db"), "no database, but long enough for one".repeat(200)).unwrap();
    let (before, files) = (fs::read(world.path("auth.db")).unwrap(), names(world.folder()));
    let fails = async |backup: &str, because: &str| {
        let (code, _, error) = run(&world, &["restore", backup, "--force"]).await;
        assert!(code == 1 && error.contains(because), "{backup}: {error}");
        assert_eq!(fs::read(world.path("auth.db")).unwrap(), before, "{backup}");
        assert_eq!(names(world.folder()), files, "{backup}");
    };
    for name in ["damaged.db", "text.db", "absent.db"] {
        fails(world.path(name).to_str().unwrap(), name).await;
    }
    // Keys that can't be opened can't be replaced either. A backup that is not recovered must not be in place.
    let key = fs::read(world.path("master.key")).unwrap();
    fs::write(world.path("master.key"), "B".repeat(42) + "A=").unwrap();
    fails(&backup, "AUTH_MASTER_KEY_FILE").await;
    fs::write(world.path("master.key"), key).unwrap();
    world.start_auth().await.unwrap();
    world.refresh(&tokens.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_master_key_a_backup_is_not_restored_and_no_key_is_made() {
    let mut world = World::of_auth_alone(&[]).await;
    let backup = back_up(&world).await;
    world.halt().await;
    fs::rename(world.path("master.key"), world.path("elsewhere.key")).unwrap();
    for arguments in [&["restore", &backup, "--force"][..], &["recover"]] {
        let (code, _, error) = run(&world, arguments).await;
        assert!(code == 1 && error.contains("AUTH_MASTER_KEY_FILE"), "{error}");
        assert!(!world.path("master.key").exists());
    }
    fs::rename(world.path("elsewhere.key"), world.path("master.key")).unwrap();
    json_of(&world, &["restore", &backup, "--force"]).await;
    world.start_auth().await.unwrap();
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_database_that_is_gone_is_not_taken_for_one_of_the_backup() {
    let mut world = World::of_auth_alone(&[]).await;
    let backup = back_up(&world).await;
    for _ in 0..20 {
        world.login().await;
    }
    let log = fs::read(world.path("auth.db-wal")).unwrap();
    world.halt().await;
    fs::remove_file(world.path("auth.db")).unwrap();
    fs::write(world.path("auth.db-wal"), &log).unwrap();
    let restored = json_of(&world, &["restore", &backup]).await;
    assert_eq!((&restored["replaced"], &restored["sessions_ended"]), (&Value::Null, &0.into()), "{restored}");
    let kept: Vec<_> = names(world.folder()).into_iter().filter(|name| name.ends_with("-wal")).collect();
    assert!(kept.len() == 1 && kept[0].contains(".before-"), "{kept:?}");
    assert_eq!(fs::read(world.path(&kept[0])).unwrap(), log, "kept, and not used");
    let database = Connection::open(world.path("auth.db")).unwrap();
    let sessions: i64 = database.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 0, "what the log held is not in the database");
    drop(database);
    world.start_auth().await.unwrap();
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_lost_disk_neither_a_start_nor_a_recovery_makes_an_empty_database() {
    let mut world = World::of_auth_alone(&[]).await;
    let backup = back_up(&world).await;
    world.halt().await;
    fs::remove_file(world.path("auth.db")).unwrap();
    let said = world.start_auth().await.unwrap_err().to_string();
    assert!(said.contains("auth-service restore"), "{said}");
    let (code, _, error) = run(&world, &["recover"]).await;
    assert!(code == 1 && error.contains("auth-service restore"), "{error}");
    let (code, _, error) = run(&world, &["backup", world.path("other.db").to_str().unwrap()]).await;
    assert!(code == 1 && error.contains("auth.db is not there"), "{error}");
    assert!(!world.path("auth.db").exists() && !world.path("other.db").exists());
    json_of(&world, &["restore", &backup]).await;
    world.start_auth().await.unwrap();
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_breaks_off_leaves_the_start_refused() {
    // One write is lost. What a recovery writes before its one transaction must not make up for it.
    let mut world = World::of_auth_alone(&[]).await;
    let first = world.login().await;
    copy(&world, "copy.db");
    world.refresh(&first.refresh).await;
    world.halt().await;
    put_back(&world, "copy.db");
    for _ in 0..3 {
        let config = auth_config(world.auth_settings()).unwrap();
        drop(open_for(&config, &Env::default(), Purpose::Recovery).await.unwrap());
        let said = world.start_auth().await.expect_err("it is not recovered").to_string();
        assert!(said.contains("auth-service recover"), "{said}");
    }
    let done = json_of(&world, &["recover"]).await;
    assert!(done["reason"].as_str().is_some_and(|reason| reason.contains("its mark has")), "{done}");
    world.start_auth().await.unwrap();
    assert_eq!(world.try_refresh(&first.refresh).await.status, 401);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_refresh_token_is_a_witness_also_when_its_session_is_over_by_what_is_stored() {
    let mut world = World::of_auth_alone(&[("AUTH_REFRESH_TTL", "1h"), ("AUTH_MARK_FILE", "off")]).await;
    let first = world.login().await;
    copy(&world, "copy.db");
    world.pass(Duration::from_mins(40));
    let live = world.refresh(&first.refresh).await;
    world.halt().await;
    put_back(&world, "copy.db");
    world.start_auth().await.unwrap();
    // The lost rotation has kept the session alive. The database takes it for idle.
    world.pass(Duration::from_mins(40));
    world.try_refresh(&live.refresh).await.is_unavailable();
    let answer = world.auth_ops().get("/health/ready").await;
    assert!(answer.status == 503 && answer.text().contains("newer than the session"), "{}", answer.text());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_within_the_same_file_takes_not_one_write() {
    // As when the bytes of an older copy are written over the file. Its inode is the same, and a few writes would hide
    // what it lacks.
    let mut world = World::of_auth_alone(&[]).await;
    let tokens = world.login().await;
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(tests::PATIENCE).unwrap();
    database.execute("UPDATE revocation_log SET writes = writes - 1", []).unwrap();
    world.try_refresh(&tokens.refresh).await.is_unavailable();
    world.try_refresh(&tokens.refresh).await.is_unavailable();
    until("it is not ready", async || {
        (world.auth_ops().get("/health/ready").await.status == 503).then_some(())
    })
    .await;
    drop(database);
    world.halt().await;
    let said = world.start_auth().await.expect_err("it is refused").to_string();
    assert!(said.contains("auth-service recover"), "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_removed_under_a_running_service_is_made_again() {
    let mut world = World::of_auth_alone(&[]).await;
    copy(&world, "copy.db");
    fs::remove_file(world.path("auth.db.mark")).unwrap();
    world.login().await;
    assert!(world.path("auth.db.mark").exists());
    world.halt().await;
    put_back(&world, "copy.db");
    assert!(world.start_auth().await.is_err(), "the new mark is a witness");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_clock_that_was_an_hour_ahead_in_the_lost_part_is_dead() {
    let mut world = world_of_today(&[("AUTH_ACCESS_TTL", "3h")]).await;
    copy(&world, "copy.db");
    let now = world.clock.now();
    world.pass(Duration::from_hours(1));
    let lost = world.login().await;
    world.protected(&lost.access).await.is(200);
    world.clock.set(now);
    world.stop_auth().await;
    for left in ["auth.db-wal", "auth.db-shm"] {
        drop(fs::remove_file(world.path(left)));
    }
    put_back(&world, "copy.db");
    json_of(&world, &["recover"]).await;
    world.start_auth_where_it_was().await;
    world.pass(Duration::from_mins(61));
    assert!(!world.introspect(&lost.access).await.active);
    until("the verifier refuses it", async || {
        (world.protected(&lost.access).await.status == 401).then_some(())
    })
    .await;
    // The next login is not held back by that hour.
    let again = world.login().await;
    until("a new token is accepted", async || {
        (world.protected(&again.access).await.status == 200).then_some(())
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mark_tokens_of_the_lost_part_that_are_dated_ahead_are_revoked_too() {
    let mut world = world_of_today(&[]).await;
    // Each end of all sessions dates the next tokens a second later.
    let operator = world.operator().await;
    for _ in 0..20 {
        world.login().await;
        operator.revoke_every_session().await.unwrap();
    }
    copy(&world, "copy.db");
    world.login().await;
    operator.revoke_every_session().await.unwrap();
    let lost = world.login().await.claims()["iat"].as_i64().unwrap();
    drop(operator);
    world.stop_auth().await;
    for left in ["auth.db-wal", "auth.db-shm", "auth.db.mark"] {
        drop(fs::remove_file(world.path(left)));
    }
    put_back(&world, "copy.db");
    let done = json_of(&world, &["recover"]).await;
    // Both in the same form.
    let lost = Timestamp::from_unix_seconds(lost).to_string();
    assert!(*done["everything_before"].as_str().unwrap() >= *lost, "{done}: {lost}");
    // So is the next token, but no verifier refuses it for that.
    world.start_auth_where_it_was().await;
    let next = world.login().await;
    until("it is accepted", async || (world.protected(&next.access).await.status == 200).then_some(())).await;
    world.stop().await;
}

/// The commands in the runbook, each once, in its order.
fn commands_of_the_runbook() -> Vec<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbook.md")).unwrap();
    let mut commands: Vec<String> = Vec::new();
    for code in text.split('`').skip(1).step_by(2) {
        if code.starts_with("auth-service ") && !commands.iter().any(|known| known == code) {
            commands.push(code.to_owned());
        }
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_of_the_runbook_does_its_work() {
    let mut world = world_of_today(&[]).await;
    let backup = world.path("backup.db").to_str().unwrap().to_owned();
    let new_key = world.path("new.key").to_str().unwrap().to_owned();
    let imported = world.path("users.jsonl").to_str().unwrap().to_owned();
    fs::write(&imported, "").unwrap();
    world.halt().await;
    let commands = commands_of_the_runbook();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let listed = json_of(&world, &["key", "list"]).await;
        let kid = listed[0]["key_id"].as_str().or(listed[0]["kid"].as_str()).or(listed[0]["id"].as_str());
        let kid = kid.unwrap_or_else(|| panic!("{listed}")).to_owned();
        let word = |word: &str| match word {
            "KID" => kid.clone(),
            "ID" => "billing".to_owned(),
            "NEW" => new_key.clone(),
            "users.jsonl" => imported.clone(),
            "somebody@example.com" => PLAIN.0.to_owned(),
            path if path.starts_with("/backups/") => backup.clone(),
            other => other.to_owned(),
        };
        // The name of a backup contains a command of the shell.
        let command = command.replace("$(date +%F)", "today");
        let arguments: Vec<_> = command.split(' ').skip(1).map(word).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        if arguments[0] == "restore" {
            fs::remove_file(world.path("auth.db")).unwrap();
        }
        let (code, output, error) = run(&world, &arguments).await;
        // Nobody watches here, and the doctor says so.
        let is_right = code == 0 || arguments[0] == "doctor" && output.contains("watches");
        // For the same reason no wait is complete, and the command says so.
        let is_right = is_right || arguments.contains(&"--wait") && output.contains("none watches");
        assert!(is_right, "{command}: {code}: {output}{error}");
        if arguments.contains(&"reseal") {
            fs::rename(&new_key, world.path("master.key")).unwrap();
        }
    }
    world.start_auth().await.expect("it starts after all of them");
    world.login().await;
    world.stop().await;
}
