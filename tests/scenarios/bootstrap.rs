//! The bootstrap file, which the database is made to match at each start.

use std::fs;

use tests::{
    World,
    world::{ADMIN, BILLING, PLAIN, STRANGER, auth_config, bootstrap},
};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_made_to_match_and_accounts_that_exist_are_left_alone() {
    let mut world = World::new().await;
    let token = world.login().await.access;
    let stranger = async |world: &World, secret: &str| {
        world.grpc().basic(STRANGER.0, secret).introspect(&token).await.map(|answer| answer.active)
    };
    assert!(!stranger(&world, STRANGER.1).await.unwrap());

    let secret = "a-new-secret-a-new-secret-a-new-secret-01";
    let changed = bootstrap()
        .replace(STRANGER.1, secret)
        .replace("audiences = [\"archive\"]", "audiences = [\"resource-service\"]")
        .replace(&format!("\"{}\"", ADMIN.1), "\"another password\"")
        .replace("roles = [\"admin\"]", "roles = [\"root\"]");
    assert_ne!(changed, bootstrap());
    fs::write(world.path("bootstrap.toml"), changed).unwrap();
    world.restart().await;
    assert!(stranger(&world, secret).await.unwrap(), "the client has another audience now");
    assert_eq!(stranger(&world, STRANGER.1).await.expect_err("a refusal").code(), Code::Unauthenticated);
    let claims = world.login().await.claims();
    assert_eq!(claims["roles"], serde_json::json!(["admin"]));
    let other = world.try_login((ADMIN.0, "another password")).await;
    other.refuses(401, "bad_credentials", "Bad email or password");

    // Entries that leave the file are not removed from the database.
    fs::write(world.path("bootstrap.toml"), "").unwrap();
    world.restart().await;
    assert!(stranger(&world, secret).await.unwrap());
    world.login_as(PLAIN).await;
    assert_eq!(world.login().await.answer["scope"], "documents:read documents:write");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_be_in_a_file_beside_it() {
    let mut world = World::new().await;
    let secret = "from-a-file-from-a-file-from-a-file-0123";
    fs::write(world.path("billing.secret"), format!("{secret}\n")).unwrap();
    fs::write(world.path("new.password"), "from a file, too").unwrap();
    let text =
        bootstrap().replace(&format!("secret = \"{}\"", BILLING.1), "secret_file = \"billing.secret\"");
    let account = "[[accounts]]\nemail = \"new@example.com\"\npassword_file = \"new.password\"\n";
    fs::write(world.path("bootstrap.toml"), format!("{text}{account}")).unwrap();
    world.restart().await;
    let token = world.login_as(("new@example.com", "from a file, too")).await.access;
    assert!(world.grpc().basic(BILLING.0, secret).introspect(token).await.unwrap().active);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_belongs_to_one_audience_also_across_starts() {
    let mut world = World::new().await;
    let thief = "[[audiences]]\nid = \"thief\"\nscopes = [\"documents:read\"]\n";
    world.halt().await;
    fs::write(world.path("bootstrap.toml"), thief).unwrap();
    let failure = world.start_auth().await.expect_err("a refusal");
    assert_eq!(failure.code(), 1);
    let said = failure.to_string();
    assert!(said.starts_with("AUTH_BOOTSTRAP_FILE: ") && said.contains("documents:read"), "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_can_not_be_meant_is_refused_and_says_where() {
    let mut world = World::new().await;
    world.halt().await;
    let client = |lines: &str| format!("[[clients]]\nid = \"x\"\n{lines}");
    let good = "secret = \"0123456789-0123456789-0123456789\"\n";
    let short = "0123456789-0123456789-012345678";
    let account = |lines: &str| format!("[[accounts]]\nemail = \"a@b\"\npassword = \"12345678\"\n{lines}");
    let cases = [
        ("unknown field", "[[audience]]\nid = \"x\"\n".to_owned()),
        ("unknown field", "[[audiences]]\nid = \"x\"\nname = \"x\"\n".into()),
        ("unknown field", client(&format!("{good}redirect_uris = []\n"))),
        ("unknown field", account("admin = true\n")),
        ("missing field", "[[audiences]]\nscopes = []\n".into()),
        ("32 characters", client(&format!("secret = \"{short}\"\n"))),
        ("needs a secret", client("")),
        ("give one", client(&format!("{good}secret_file = \"x\"\n"))),
        ("can't be read", client("secret_file = \"nowhere\"\n")),
        ("first-party", format!("[[clients]]\nid = \"first-party\"\n{good}")),
        ("UUID", format!("[[clients]]\nid = \"11111111-2222-4333-8444-555555555555\"\n{good}")),
        ("is none of", client(&format!("{good}grants = [\"password\"]\n"))),
        ("is none of", client(&format!("{good}grants = [\"implicit\"]\n"))),
        ("built in", "[[audiences]]\nid = \"x\"\nscopes = [\"introspect\"]\n".into()),
        ("not in scopes", "[[audiences]]\nid = \"x\"\ndefault_scopes = [\"y\"]\n".into()),
        ("is not a scope", "[[audiences]]\nid = \"x\"\nscopes = [\"a b\"]\n".into()),
        ("twice", "[[audiences]]\nid = \"x\"\n[[audiences]]\nid = \"x\"\n".into()),
        ("twice", format!("{}{}", account(""), account(""))),
        ("twice", {
            "[[audiences]]\nid = \"x\"\nscopes = [\"s\"]\n[[audiences]]\nid = \"y\"\nscopes = [\"s\"]\n"
                .into()
        }),
        ("8 to 1024 bytes", "[[accounts]]\nemail = \"a@b\"\npassword = \"1234567\"\n".into()),
        ("needs a password", "[[accounts]]\nemail = \"a@b\"\n".into()),
        ("email address", "[[accounts]]\nemail = \"x\"\npassword = \"12345678\"\n".into()),
        ("is not a role", account("roles = [\"a b\"]\n")),
        ("line 3", "\n\n= x\n".into()),
    ];
    for (what, text) in cases {
        fs::write(world.path("bootstrap.toml"), &text).unwrap();
        let error = auth_config(world.auth_settings()).expect_err(&text);
        assert_eq!(error.name, "AUTH_BOOTSTRAP_FILE");
        let said = error.to_string();
        assert!(said.contains(what), "{what}: {said}");
        for secret in [short, "0123456789-0123456789-0123456789"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    fs::remove_file(world.path("bootstrap.toml")).unwrap();
    assert_eq!(auth_config(world.auth_settings()).expect_err("no file").name, "AUTH_BOOTSTRAP_FILE");
    world.stop().await;
}
