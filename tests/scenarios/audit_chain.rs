//! The audit trail is a chain: what is changed, removed or added shows, in the database and in an export.

use std::{fs, time::Duration};

use countermark_service::database::rusqlite::Connection;
use serde_json::{Value, json};
use tests::{
    World,
    operator::{json_of, run, world_of_today},
    world::{ADMIN, PLAIN},
};

/// A world in which some things have happened.
async fn eventful() -> World {
    let world = world_of_today(&[]).await;
    let tokens = world.login().await;
    world.try_login((ADMIN.0, "hunter2-hunter2")).await.is(401);
    let strange = world.auth().post("/login").header("user-agent", "a\"b\\c \u{e9}");
    strange.json(&json!({"email": ADMIN.0, "password": ADMIN.1})).await.is(200);
    world.refresh(&tokens.refresh).await;
    // The second one counts in the entry of the first.
    for _ in 0..2 {
        world.try_refresh(&tokens.refresh).await.is(200);
    }
    json_of(&world, &["user", "disable", PLAIN.0]).await;
    world
}

type Change = Box<dyn Fn(&mut Vec<Value>)>;

async fn verify(world: &World, arguments: &[&str]) -> (i32, Value) {
    let (code, output, _) = run(world, &[&["audit", "verify", "--json"], arguments].concat()).await;
    (code, serde_json::from_str(&output).unwrap_or_else(|_| panic!("not JSON: {output}")))
}

fn faults(said: &Value) -> Vec<(i64, &str)> {
    let faults = said["faults"].as_array().unwrap().iter();
    faults.map(|fault| (fault["id"].as_i64().unwrap(), fault["fault"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_as_it_was_written_until_somebody_writes_into_the_database() {
    let world = eventful().await;
    let (code, said) = verify(&world, &[]).await;
    assert_eq!((code, &said["faulty"], &said["before_the_chain"]), (0, &json!(0), &json!(0)), "{said}");
    assert!(said["entries"].as_u64().unwrap() >= 5, "{said}");
    let last = said["last"].as_str().unwrap().to_owned();
    assert_eq!(verify(&world, &["--expect", &last]).await.0, 0);
    let (_, text, _) = run(&world, &["audit", "verify"]).await;
    assert!(text.contains(&format!("Last: {last}")), "{text}");

    let database = Connection::open(world.path("auth.db")).unwrap();
    let forgeries = [
        ("UPDATE audit SET random = NULL, event = 'login' WHERE id <= 2", "missing_before"),
        ("UPDATE audit SET at = at + 1 WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET event = 'login' WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET address = '192.0.2.1' WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET user_agent = NULL WHERE user_agent LIKE 'a\"b%'", "changed"),
        ("UPDATE audit SET account_id = NULL WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET session_id = randomblob(16) WHERE event = 'refresh_repeated'", "changed"),
        ("UPDATE audit SET client_id = 'another' WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET detail = 'nothing' WHERE event = 'account_disabled'", "changed"),
        ("UPDATE audit SET tag = randomblob(16) WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET previous = randomblob(16) WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET random = randomblob(8) WHERE event = 'login_failed'", "changed"),
        ("UPDATE audit SET random = NULL WHERE event = 'login_failed'", "unlinked"),
        ("DELETE FROM audit WHERE event = 'login_failed'", "missing_before"),
        ("INSERT INTO audit (at, event) VALUES (1, 'login')", "unlinked"),
        ("UPDATE audit SET id = id + 1000 WHERE event = 'login_failed'", "missing_before"),
    ];
    for (forgery, fault) in forgeries {
        // Undone afterwards.
        let before: String = world.path("before.db").display().to_string();
        let _ = fs::remove_file(&before);
        database.execute("VACUUM INTO ?1", [&before]).unwrap();
        assert!(database.execute(forgery, []).unwrap() > 0, "{forgery}");
        let (code, said) = verify(&world, &[]).await;
        assert_eq!(code, 1, "{forgery}: {said}");
        assert_eq!(faults(&said).first().map(|found| found.1), Some(fault), "{forgery}: {said}");
        database
            .execute_batch(&format!(
                "ATTACH '{before}' AS before; DELETE FROM audit; INSERT INTO audit SELECT * FROM before.audit; \
                 DETACH before"
            ))
            .unwrap();
        assert_eq!(verify(&world, &[]).await.0, 0, "{forgery}");
    }

    // The newest entries are gone: only somebody who knows the last one sees it.
    let id: i64 = last.split_once(':').unwrap().0.parse().unwrap();
    database.execute("DELETE FROM audit WHERE id >= ?1", [id]).unwrap();
    assert_eq!(verify(&world, &[]).await.0, 0);
    let (code, said) = verify(&world, &["--expect", &last]).await;
    assert_eq!((code, faults(&said)), (1, vec![(id, "no_such_entry")]));
    // Something else has happened since.
    json_of(&world, &["user", "enable", PLAIN.0]).await;
    let (code, said) = verify(&world, &["--expect", &last]).await;
    assert_eq!((code, faults(&said)), (1, vec![(id, "not_the_witness")]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_verified_without_the_database_and_shows_each_change() {
    let world = eventful().await;
    let (_, export, _) = run(&world, &["audit", "--since", "2026-01-01", "--json"]).await;
    let entries: Vec<Value> = serde_json::from_str(&export).unwrap();
    let file = world.path("export.json").display().to_string();
    let of = async |text: String| {
        fs::write(&file, text).unwrap();
        let elsewhere = tests::process::Start::of(tests::process::AUTH);
        let ended = elsewhere.arg("audit").arg("verify").arg(&file).arg("--json").end().await;
        (ended.code.unwrap(), ended.stdout, ended.stderr)
    };
    let (code, said, error) = of(export).await;
    assert_eq!(code, 0, "{said}{error}");
    let lines = entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(of(lines).await.0, 0, "as --follow prints it");

    let place = entries.iter().position(|entry| entry["event"] == "login_failed").unwrap();
    let set = |pointer: &'static str, value: Value| -> Change {
        Box::new(move |entries| *entries[place].pointer_mut(pointer).unwrap() = value.clone())
    };
    let changes: [Change; 12] = [
        set("/at", json!("2026-01-01T00:00:00Z")),
        set("/id", json!(0)),
        Box::new(move |entries| entries[..place].iter_mut().for_each(|entry| entry["chain"] = Value::Null)),
        set("/event", json!("login")),
        set("/account", Value::Null),
        set("/address", json!("192.0.2.1")),
        set("/device", json!("another")),
        set("/detail", json!("by nobody")),
        set("/chain/at_millis", json!(0)),
        set("/chain", Value::Null),
        Box::new(move |entries| drop(entries.remove(place))),
        Box::new(move |entries| entries.swap(place, place + 1)),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = entries.clone();
        change(&mut changed);
        let (code, said, _) = of(Value::Array(changed).to_string()).await;
        assert_eq!(code, 1, "{number}: {said}");
    }
    for text in ["{", "[1]", "nothing", r#"[{"id": 1}]"#] {
        let (code, _, error) = of(text.to_owned()).await;
        assert!(code == 1 && error.contains("it is no export of `audit --json`"), "{text}: {error}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_swept_leaves_no_gap() {
    let world = World::with(&[("AUTH_AUDIT_TTL", "30d")]).await;
    world.login().await;
    // An entry of a clock that was ahead for a moment.
    let now = countermark::clock::Clock::now(&world.clock);
    world.clock.set(now.after(Duration::from_hours(24 * 10)));
    world.login().await;
    world.clock.set(now);
    world.login().await;
    let operator = world.operator().await;
    for days in [29, 9, 30] {
        world.pass(Duration::from_hours(24 * days));
        operator.sweep().await.unwrap();
        // Only now is it certain that the time has passed.
        world.pass(Duration::from_mins(16));
        operator.sweep().await.unwrap();
        world.login().await;
        let (code, said) = verify(&world, &[]).await;
        assert_eq!(code, 0, "{said}");
    }
    let (_, said) = verify(&world, &[]).await;
    assert!(said["first"].as_i64().unwrap() > 2, "the oldest are gone: {said}");
    world.stop().await;
}
