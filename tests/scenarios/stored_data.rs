//! Data on disk outlives a release. A database, a master key and a bundle of the first release are opened and used
//! unchanged. The files are in `tests/fixtures/first-format`. They were written when the product had another name.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use countermark_service::database::rusqlite::Connection;
use serde_json::{Value, json};
use tests::{
    PATIENCE, World,
    operator::{run, world_of_today},
    until,
    world::PLAIN,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/first-format");

/// A file of the first release.
fn kept(name: &str) -> Vec<u8> {
    fs::read(Path::new(FOLDER).join(name)).unwrap()
}

fn kept_json(name: &str) -> Value {
    serde_json::from_slice(&kept(name)).unwrap()
}

/// Both services, stopped, with the files `names` of the first release in place of their own.
async fn stopped_with(names: &[&str]) -> World {
    let mut world = World::new().await;
    world.halt().await;
    world.forget_mark();
    for name in names {
        let path = world.path(name);
        fs::write(&path, kept(name)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        // A log that a connection left, which closes late, is of the other database.
        for left in ["-wal", "-shm"] {
            drop(fs::remove_file(world.path(&format!("{name}{left}"))));
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_first_release_keeps_its_keys_accounts_and_sessions() {
    let mut world = stopped_with(&["auth.db", "master.key"]).await;
    world.start_auth().await.unwrap();
    let key_set: Value =
        serde_json::from_slice(&world.auth().get("/.well-known/jwks.json").await.body).unwrap();
    let kid = kept_json("jwks.json")["keys"][0]["kid"].clone();
    assert!(key_set["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid), "{key_set}");
    let tokens = kept_json("tokens.json");
    let (alive, ended) = (&tokens["alive"], &tokens["ended"]);
    world.refresh(alive["refresh"].as_str().unwrap()).await;
    world.try_refresh(ended["refresh"].as_str().unwrap()).await.is(401);
    assert!(world.introspect(alive["access"].as_str().unwrap()).await.active);
    assert!(!world.introspect(ended["access"].as_str().unwrap()).await.active);
    world.login_as(PLAIN).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_the_first_release_starts_a_verifier_with_the_issuer_down() {
    let mut world = stopped_with(&["verifier.bundle"]).await;
    world.start_resource().unwrap();
    until("the resource server is ready", || async {
        (world.resource_ops().get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    let tokens = kept_json("tokens.json");
    world.protected(tokens["alive"]["access"].as_str().unwrap()).await.is(200);
    let refused = world.protected(tokens["ended"]["access"].as_str().unwrap()).await.is(401);
    assert_eq!(refused["msg"], "The token has been revoked");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_with_addresses_of_before_keep_working_and_the_doctor_names_them() {
    let world = world_of_today(&[("AUTH_REGISTRATION", "open")]).await;
    // Addresses as earlier versions stored them, each with the password of the plain account.
    let doubtful =
        ["te\u{200b}st@example.com", "tеst@example.com", "сосо@example.com", "a\u{202e}b@example.com"];
    let spelled = ["a@xn--mnchen-3ya.de", "a@münchen.de", "b@xn--mnchen-3ya.de"];
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    for email in doubtful.into_iter().chain(spelled) {
        let copy = "INSERT INTO accounts (id, email, password_hash, roles, created_at)
            SELECT randomblob(16), ?1, password_hash, roles, created_at
            FROM accounts WHERE email = ?2";
        assert_eq!(database.execute(copy, [email, PLAIN.0]).unwrap(), 1);
    }
    for email in doubtful.into_iter().chain(spelled) {
        let tokens = world.login_as((email, PLAIN.1)).await;
        assert_eq!(tokens.claims()["email"], json!(email), "each is itself");
        let me = world.auth().get("/me").bearer(&tokens.access).await.is(200);
        assert_eq!(me["email"], json!(email));
        let (code, _, error) = run(&world, &["user", "show", email]).await;
        assert_eq!(code, 0, "{error}");
    }
    // The other spelling of the domain finds the account too, and no second account can be made by it.
    assert_eq!(world.login_as(("B@MÜNCHEN.de", PLAIN.1)).await.claims()["email"], json!(spelled[2]));
    for email in ["b@münchen.de", spelled[2]] {
        let body = json!({"email": email, "password": "correct horse battery"});
        let answer = world.auth().post("/register").json(&body).await;
        answer.refuses(409, "email_taken", "There is an account with this email address");
    }
    let (code, output, _) = run(&world, &["doctor"]).await;
    assert_eq!(code, 1);
    for shown in
        ["te\\u{200b}st@example.com", "tеst@example.com", "сосо@example.com", "a\\u{202e}b@example.com"]
    {
        let line = output.lines().find(|line| line.contains(shown));
        assert!(line.is_some_and(|line| line.contains("doubtful")), "{shown}: {output}");
    }
    let twins = output.lines().find(|line| line.contains("one address")).unwrap_or_default();
    assert!(twins.contains(spelled[0]) && twins.contains(spelled[1]), "{output}");
    assert!(!output.contains(['\u{200b}', '\u{202e}']), "{output}");
    // A disabled account is no finding any more.
    run(&world, &["user", "disable", doubtful[0]]).await;
    assert!(!run(&world, &["doctor"]).await.1.contains("200b"));
    world.stop().await;
}
