//! Data that outlives a restart, data that two instances share, and the content of the files.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration,
};

use auth_service::app::App;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countermark::random::SeededRandom;
use countermark_service::{database::rusqlite::Connection, env::Env};
use serde_json::json;
use tests::{
    Forge, Http, World,
    jws::{b64, header, sha256, unb64},
    operator,
    process::{AUTH, Start},
    until,
    world::{ADMIN, BILLING, MUTE, PLAIN, STRANGER, Tokens, auth_config},
};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_accounts_sessions_keys_and_documents() {
    let mut world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let new = ("new@example.com", "correct horse battery");
    let register = json!({"email": new.0, "password": new.1});
    let account = world.auth().post("/register").json(&register).await.is(201);
    let tokens = world.login_as(new).await;
    let spent = world.login_as(new).await.refresh;
    let second = world.refresh(&spent).await.refresh;
    // The next key is published a moment after the start. From then on the key set does not change.
    let keys = until("two keys", async || {
        let keys = world.auth().get("/.well-known/jwks.json").await;
        (keys.is(200)["keys"].as_array().unwrap().len() == 2).then_some(keys)
    })
    .await;
    let document = json!({"title": "t", "body": "b"});
    let document = world.resource().post("/documents").bearer(&tokens.access).json(&document).await.is(201);

    world.restart().await;
    assert_eq!(world.auth().get("/.well-known/jwks.json").await.body, keys.body);
    world.protected(&tokens.access).await.is(200);
    assert_eq!(world.auth().get("/me").bearer(&tokens.access).await.is(200)["id"], account["id"]);
    assert!(world.introspect(&tokens.access).await.active);
    assert_eq!(world.login_as(new).await.claims()["sub"], account["id"]);
    assert_eq!(world.refresh(&tokens.refresh).await.claims()["sid"], tokens.claims()["sid"]);
    let path = format!("/documents/{}", document["id"].as_str().unwrap());
    assert_eq!(world.resource().get(&path).bearer(&tokens.access).await.is(200), document);
    // A lost answer can be requested again after a restart too. A spent token stays spent.
    assert_eq!(world.refresh(&spent).await.refresh, second);
    world.pass(Duration::from_millis(10_001));
    let refused = world.try_refresh(&spent).await;
    refused.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resource_service_goes_on_while_auth_service_is_away() {
    let mut world = World::new().await;
    let tokens = world.login().await;
    world.stop_auth().await;
    for _ in 0..3 {
        world.protected(&tokens.access).await.is(200);
        world.resource().get("/documents").bearer(&tokens.access).await.is(200);
        assert_eq!(world.resource_ops().get("/health/ready").await.status, 200);
        world.pass(Duration::from_secs(290));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_start_on_an_empty_database_have_one_key() {
    let mut world = World::new().await;
    world.halt().await;
    world.forget_mark();
    for name in ["auth.db", "master.key"] {
        fs::remove_file(world.path(name)).unwrap();
    }
    let start = |seed| {
        let config = auth_config(world.auth_settings()).unwrap();
        let env = Env { clock: Arc::new(world.clock.clone()), random: Arc::new(SeededRandom::new(seed)) };
        tokio::spawn(App::bind(config, env))
    };
    let starts: Vec<_> = (100..104).map(start).collect();
    let stop = CancellationToken::new();
    let (mut instances, mut running) = (Vec::new(), Vec::new());
    for start in starts {
        let app = start.await.unwrap().expect("every instance starts");
        instances.push(Http::at(app.http_addr()));
        running.push(tokio::spawn(app.run(stop.clone())));
    }
    until("all publish the same two keys", async || {
        let mut sets = BTreeSet::new();
        for instance in &instances {
            let set = instance.get("/.well-known/jwks.json").await.is(200);
            let count = set["keys"].as_array().unwrap().len();
            assert!(count <= 2, "the one that signs, and the next: {set}");
            sets.insert((count, set.to_string()));
        }
        (sets.len() == 1 && sets.first()?.0 == 2).then_some(())
    })
    .await;
    let login = json!({"email": ADMIN.0, "password": ADMIN.1});
    let mut kids = BTreeSet::new();
    for instance in &instances {
        let tokens = Tokens::of(&instance.post("/login").json(&login).await);
        kids.insert(header(&tokens.access)["kid"].to_string());
    }
    assert_eq!(kids.len(), 1, "exactly one key that signs");

    // A session that one instance began continues at the others.
    let mut tokens = Tokens::of(&instances[0].post("/login").json(&login).await);
    for instance in &instances {
        instance.get("/me").bearer(&tokens.access).await.is(200);
        tokens = Tokens::of(&instance.post("/refresh").bearer(&tokens.refresh).await);
    }
    // 64 concurrent refreshes, spread over all instances, have one successor.
    let at_once: Vec<_> = (0..64)
        .map(|number: usize| {
            let ask = instances[number % instances.len()].post("/refresh").bearer(&tokens.refresh);
            tokio::spawn(async move { Tokens::of(&ask.await).refresh })
        })
        .collect();
    let mut successors = BTreeSet::new();
    for answer in at_once {
        successors.insert(answer.await.unwrap());
    }
    assert_eq!(successors.len(), 1);
    stop.cancel();
    for task in running {
        task.await.unwrap();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_is_refused_in_a_sentence() {
    let mut world = World::new().await;
    world.halt().await;
    let path = world.path("master.key");
    fs::write(&path, format!("{}\n", STANDARD.encode([7; 32]))).unwrap();
    let failure = world.start_auth().await.expect_err("a refusal");
    assert_eq!(failure.code(), 1);
    assert_eq!(
        failure.to_string(),
        "the keys in the database are sealed with another master key, or damaged; \
         is AUTH_MASTER_KEY_FILE the one that it was made with?"
    );
    for (text, what) in
        [("", "32 bytes in base64"), ("x", "32 bytes in base64"), ("AAAA", "32 bytes in base64")]
    {
        fs::write(&path, text).unwrap();
        let said = world.start_auth().await.expect_err("a refusal").to_string();
        assert!(said.starts_with("AUTH_MASTER_KEY_FILE: ") && said.contains(what), "{said}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_that_is_lost_is_said_before_another_is_made() {
    let mut world = World::new().await;
    let tokens = world.login().await;
    world.halt().await;
    let (path, away) = (world.path("master.key"), world.path("away.key"));
    fs::rename(&path, &away).unwrap();
    let failure = world.start_auth().await.expect_err("a refusal");
    assert_eq!(failure.code(), 1);
    let said = failure.to_string();
    let names = |said: &str| {
        ["AUTH_MASTER_KEY_FILE", "master.key", "put a copy", "docs/runbook.md"].map(|it| said.contains(it))
    };
    assert_eq!(names(&said), [true; 4], "{said}");
    for command in
        [&["user", "list"][..], &["doctor"], &["key", "list"], &["recover"], &["session", "revoke", "--all"]]
    {
        let (code, _, error) = operator::run(&world, command).await;
        assert!(code == 1 && names(&error) == [true; 4], "{command:?}: {code} {error}");
    }
    assert!(!path.exists(), "none was made");
    fs::rename(&away, &path).unwrap();
    world.start_auth().await.expect("nothing was lost");
    world.refresh(&tokens.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_for_its_owner_and_at_most_its_group() {
    let mut world = World::new().await;
    let path = world.path("master.key");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&world.path("auth.db")), 0o600);
    world.halt().await;
    for (mode, starts) in [
        (0o600, true),
        (0o400, true),
        (0o640, true),
        (0o440, true),
        (0o644, false),
        (0o604, false),
        (0o666, false),
        (0o660, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match world.start_auth().await {
            Ok(()) => assert!(starts, "{mode:o} starts"),
            Err(failure) => {
                assert!(!starts, "{mode:o}: {failure}");
                assert_eq!(failure.code(), 1);
                let said = failure.to_string();
                assert!(said.starts_with("AUTH_MASTER_KEY_FILE: ") && said.contains("chmod 0600"), "{said}");
            }
        }
        world.stop_auth().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_start_on_an_older_schema_bring_it_up_to_date_once() {
    let mut world = World::of_auth_alone(&[]).await;
    let identity: i64 = Connection::open(world.path("auth.db"))
        .unwrap()
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    world.halt().await;
    world.forget_mark();
    for name in ["auth.db", "master.key"] {
        fs::remove_file(world.path(name)).unwrap();
    }
    // The database at the third version of the schema.
    let old = Connection::open(world.path("auth.db")).unwrap();
    let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../auth-service/migrations");
    let mut names: Vec<_> = fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for name in &names[..3] {
        old.execute_batch(&fs::read_to_string(name).unwrap()).unwrap();
    }
    old.pragma_update(None, "application_id", identity).unwrap();
    old.pragma_update(None, "user_version", 3).unwrap();
    drop(old);

    let start = || Start::of(AUTH).envs(world.auth_settings()).listen();
    let (one, two) = tokio::join!(start(), start());
    let new = Connection::open(world.path("auth.db")).unwrap();
    let version: i64 = new.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(version).unwrap(), names.len());
    let login = json!({"email": ADMIN.0, "password": ADMIN.1});
    let tokens = Tokens::of(&one.http().post("/login").json(&login).await);
    two.http().get("/me").bearer(&tokens.access).await.is(200);
    for process in [one, two] {
        assert_eq!(process.stop().await.code, Some(0));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_program_refuses_a_newer_schema_and_changes_nothing() {
    let mut world = World::new().await;
    world.halt().await;
    for database in ["auth.db", "resource.db"] {
        let connection = Connection::open(world.path(database)).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    }
    let before = fs::read(world.path("auth.db")).unwrap();
    let auth = world.start_auth().await.expect_err("a refusal");
    let resource = world.start_resource().expect_err("a refusal");
    for (failure, setting) in [(auth, "AUTH_DATABASE_URL: "), (resource, "RESOURCE_DATABASE_URL: ")] {
        assert_eq!(failure.code(), 1);
        let said = failure.to_string();
        assert!(said.starts_with(setting), "{said}");
        assert!(said.contains("schema 99") && said.contains("run a newer version"), "{said}");
    }
    assert_eq!(fs::read(world.path("auth.db")).unwrap(), before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_another_programs_is_left_alone() {
    let mut world = World::new().await;
    world.halt().await;
    fs::rename(world.path("resource.db"), world.path("auth.db")).unwrap();
    let said = world.start_auth().await.expect_err("a refusal").to_string();
    assert!(
        said.starts_with("AUTH_DATABASE_URL: ") && said.contains("not this program's database"),
        "{said}"
    );
    fs::write(world.path("auth.db"), "just a text file, and not a short one either".repeat(100)).unwrap();
    let said = world.start_auth().await.expect_err("a refusal").to_string();
    assert!(
        said.starts_with("AUTH_DATABASE_URL: ") && said.contains("not this program's database"),
        "{said}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_holds_a_secret_in_the_clear() {
    let mut world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    fs::remove_file(world.path("bootstrap.toml")).unwrap(); // An operator wrote it, with secrets in it.
    let new = ("new@example.com", "correct horse battery");
    world.auth().post("/register").json(&json!({"email": new.0, "password": new.1})).await.is(201);
    let first = world.login_as(new).await;
    let second = world.refresh(&first.refresh).await;
    world.try_login((ADMIN.0, "a wrong pass phrase")).await;
    world.protected(&second.access).await.is(200);
    let forge = world.forge();
    let mut secrets = vec![
        ("the private key", forge.pkcs8.clone()),
        ("the inner half of the private key", forge.pkcs8[300..].to_vec()),
        ("the private key in base64", STANDARD.encode(&forge.pkcs8).into_bytes()),
        ("an old-fashioned hash", sha256(new.1.as_bytes())),
    ];
    for (name, text) in [
        ("a password", new.1),
        ("a wrong password", "a wrong pass phrase"),
        ("a bootstrapped password", PLAIN.1),
        ("a client's secret", BILLING.1),
        ("a client's secret", STRANGER.1),
        ("a client's secret", MUTE.1),
    ] {
        secrets.push((name, text.as_bytes().to_vec()));
    }
    for tokens in [&first, &second] {
        let refresh = tokens.refresh.strip_prefix("rt_").unwrap();
        let bytes = unb64(refresh);
        secrets.push(("a refresh token", refresh.as_bytes().to_vec()));
        secrets.push(("a refresh token's bytes", bytes.clone()));
        secrets.push(("a refresh token's inner part", bytes[22..38].to_vec()));
        secrets.push(("a refresh token's outer part", bytes[38..].to_vec()));
        secrets.push(("a refresh token's hash", sha256(tokens.refresh.as_bytes())));
        secrets.push(("an access token", tokens.access.as_bytes().to_vec()));
        secrets.push(("an access token's signature", tokens.access.rsplit('.').next().unwrap().into()));
    }
    // Scans with the write-ahead log beside the database, and again when the log is folded in.
    scan(&world, &forge, &secrets);
    world.halt().await;
    scan(&world, &forge, &secrets);
    world.stop().await;
}

fn scan(world: &World, forge: &Forge, secrets: &[(&str, Vec<u8>)]) {
    let mut files = 0;
    let mut has_kid = false;
    for entry in fs::read_dir(world.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("master.key") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let holds = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        for (name, secret) in secrets {
            assert!(secret.len() >= 8, "{name} is too short to rule out a coincidence");
            assert!(!holds(secret), "{name} is in {}", path.display());
        }
        has_kid |= holds(forge.kid.as_bytes());
        files += 1;
    }
    assert!(files >= 2 && has_kid, "the scan sees what is in the files");
    assert_ne!(b64(&forge.pkcs8), forge.kid);
}
