//! What others build against, written down in `tests/golden`: claims, answers, metadata, the proto and the settings. A change
//! shows in review. `UPDATE=1 cargo test -p tests --test scenarios golden` writes the files.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::PathBuf};

use countermark_service::settings::Setting;
use serde_json::{Value, json};
use tests::{World, jws, world::BILLING};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

#[track_caller]
fn is_golden(name: &str, text: &str) {
    let path = folder().join(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "tests/golden/{name} is another one. If that is meant, write it with UPDATE=1, and name the change in CHANGELOG.md. \
         Now:\n{text}"
    );
}

/// The same JSON with each value as its type. Members and items that a reader depends on stay.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(number) => json!(if number.is_i64() { "integer" } else { "number" }),
        Value::String(_) => json!("text"),
        Value::Array(items) => {
            let mut shapes: Vec<_> = items.iter().map(shape).collect();
            shapes.dedup();
            Value::Array(shapes)
        }
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
    }
}

/// As [`shape`], but these members keep their values.
fn shape_with(value: &Value, kept: &[&str]) -> Value {
    let mut shape = shape(value);
    for &name in kept {
        if let (Some(to), Some(from)) = (shape.get_mut(name), value.get(name)) {
            *to = from.clone();
        }
    }
    shape
}

fn pretty(named: &BTreeMap<&str, Value>) -> String {
    format!("{}\n", serde_json::to_string_pretty(named).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_answers_about_tokens_are_as_others_know_them() {
    let world = World::new().await;
    let tokens = world.login().await;
    let refreshed = world.refresh(&tokens.refresh).await;
    let of_service = world.auth().post("/oauth/token").basic(BILLING);
    let of_service = of_service.form(&[("grant_type", "client_credentials")]).await.is(200).clone();
    let parts = |token: &str| {
        let header = shape_with(&jws::header(token), &["alg", "typ"]);
        json!({"header": header, "claims": shape_with(&jws::payload(token), &["amr", "fresh"])})
    };
    let login = json!({"email": tests::world::ADMIN.0, "password": tests::world::ADMIN.1});
    let answer = world.auth().post("/login").json(&login).await.is(200).clone();
    let asked = async |token: &str| {
        let asked = world.auth().post("/oauth/introspect").basic(BILLING);
        shape_with(&asked.form(&[("token", token)]).await.is(200), &["active", "token_type"])
    };
    let (live, dead) = (asked(&tokens.access).await, asked("x").await);
    let logout = world.auth().post("/logout?wait=true").bearer(&refreshed.access).await.is(200).clone();
    let named = BTreeMap::from([
        ("login: the answer", shape_with(&answer, &["token_type"])),
        ("login: the access token", parts(&tokens.access)),
        ("refresh: the access token", parts(&refreshed.access)),
        ("client_credentials: the answer", shape_with(&of_service, &["token_type"])),
        ("client_credentials: the access token", parts(of_service["access_token"].as_str().unwrap())),
        ("introspection of a live token", live),
        ("introspection of a dead token", dead),
        ("logout?wait=true", shape(&logout)),
    ]);
    is_golden("tokens.json", &pretty(&named));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_set_and_the_metadata_are_as_others_know_them() {
    let world = World::new().await;
    let keys = world.auth().get("/.well-known/jwks.json").await.is(200).clone();
    let key = shape_with(&keys["keys"][0], &["kty", "alg", "use", "e"]);
    let metadata = async |path: &str| world.auth().get(path).await.is(200).clone();
    let named = BTreeMap::from([
        ("/.well-known/jwks.json: a key", key),
        (
            "/.well-known/oauth-authorization-server",
            metadata("/.well-known/oauth-authorization-server").await,
        ),
        ("/.well-known/openid-configuration", metadata("/.well-known/openid-configuration").await),
    ]);
    is_golden("metadata.json", &pretty(&named));
    world.stop().await;
}

#[test]
fn settings_are_as_others_set_them() {
    let listed = |settings: &[Setting]| {
        settings.iter().fold(String::new(), |mut text, setting| {
            let secret = if setting.is_secret() { "  (also _FILE)" } else { "" };
            let default = setting.default.map_or(String::new(), |default| format!(" = {default}"));
            // Writing to a text succeeds.
            let _ = writeln!(text, "{}{default}{secret}", setting.name);
            text
        })
    };
    is_golden("settings-of-auth-service.txt", &listed(auth_service::config::SETTINGS));
    is_golden("settings-of-resource-service.txt", &listed(resource_service::config::SETTINGS));
}

#[test]
fn the_proto_is_as_others_have_compiled_it() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proto/auth/v1");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut text = String::new();
    for file in files {
        // Comments may say more. Names, numbers and types may not change.
        let source = fs::read_to_string(file).unwrap();
        for line in source.lines() {
            let code = line.split("//").next().unwrap_or_default().trim_end();
            if !code.is_empty() {
                text.push_str(code);
                text.push('\n');
            }
        }
    }
    is_golden("proto.txt", &text);
}
