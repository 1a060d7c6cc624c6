//! Data on disk outlives a release. A database, a master key and a bundle of the first release are opened and used
//! unchanged. The files are in `tests/fixtures/first-format`. They were written when the product had another name.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;
use tests::{World, until, world::PLAIN};

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
    for name in names {
        let path = world.path(name);
        fs::write(&path, kept(name)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
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
