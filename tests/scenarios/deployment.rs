//! Which deployment a command works on. A command never makes a second one, and finds the settings of the service.

use std::{fs, path::Path};

use tempfile::TempDir;
use tests::process::{AUTH, Ended, RESOURCE, Start};

/// Each command that works on a database.
const COMMANDS: &[&[&str]] = &[
    &["user", "list"],
    &["user", "add", "new@example.com"],
    &["user", "show", "new@example.com"],
    &["user", "invite"],
    &["user", "disable", "new@example.com"],
    &["user", "import", "users.jsonl"],
    &["session", "list", "new@example.com"],
    &["session", "revoke", "--all"],
    &["client", "list"],
    &["client", "add", "billing", "--grant", "client_credentials"],
    &["audience", "list"],
    &["key", "list"],
    &["key", "rotate"],
    &["refresh-key", "list"],
    &["refresh-key", "rotate"],
    &["doctor"],
    &["audit"],
    &["backup", "copy.db"],
    &["recover"],
];

async fn run(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let mut program = Start::of(AUTH).within(folder).envs(settings.iter().copied());
    for argument in arguments {
        program = program.arg(argument);
    }
    program.end().await
}

/// Serves until it listens, and stops. Then there is a deployment.
async fn deploy(folder: &Path) {
    let ports = ["AUTH_HTTP_ADDR", "AUTH_GRPC_ADDR", "AUTH_OPS_ADDR"];
    let service = Start::of(AUTH).within(folder).envs(ports.map(|port| (port, "127.0.0.1:0"))).listen().await;
    assert_eq!(service.stop().await.code, Some(0));
}

fn files(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_deployment_a_command_says_that_nothing_is_there_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users.jsonl"), "").unwrap();
    let before = files(&folder);
    for command in COMMANDS {
        let ended = run(folder.path(), command, &[]).await;
        assert!(ended.code == Some(1) && ended.stdout.is_empty(), "{command:?}: {ended:?}");
        assert!(
            ended.stderr.contains("data/auth.db") && ended.stderr.contains("there"),
            "{command:?}: {ended:?}"
        );
        assert_eq!(files(&folder), before, "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_path_makes_no_second_deployment() {
    let folder = tempfile::tempdir().unwrap();
    deploy(folder.path()).await;
    // An empty file is no database.
    fs::write(folder.path().join("empty.db"), "").unwrap();
    let before = files(&folder);
    let ended = run(folder.path(), &["user", "add", "new@example.com"], &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for url in [
        "sqlite://data/auth.bd",
        "sqlite://date/auth.db",
        "sqlite://auth.db",
        "sqlite:///nowhere/auth.db",
        "sqlite://empty.db",
    ] {
        for command in [&["user", "list"][..], &["user", "add", "other@example.com"]] {
            let ended = run(folder.path(), command, &[("AUTH_DATABASE_URL", url)]).await;
            assert_eq!(ended.code, Some(1), "{url} {command:?}: {ended:?}");
            let path = url.strip_prefix("sqlite://").unwrap();
            assert!(ended.stderr.contains(path) && ended.stderr.contains("nothing is there"), "{ended:?}");
        }
    }
    let ended = run(folder.path(), &["user", "list"], &[("AUTH_MASTER_KEY_FILE", "data/mistyped.key")]).await;
    assert!(ended.code == Some(1) && ended.stderr.contains("AUTH_MASTER_KEY_FILE"), "{ended:?}");
    assert_eq!(files(&folder), before);
    assert_eq!(fs::metadata(folder.path().join("empty.db")).unwrap().len(), 0);
    let ended = run(folder.path(), &["user", "list"], &[]).await;
    assert!(ended.stdout.contains("new@example.com") && !ended.stdout.contains("other@"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_found_in_a_file_beside_and_what_is_said_otherwise_counts_more() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "auth-service.toml",
        "auth_database_url = 'sqlite://kept/auth.db'\nauth_master_key_file = 'kept/master.key'\n",
    );
    deploy(folder.path()).await;
    assert_eq!(files(&folder), ["auth-service.toml", "kept"], "the service found it");
    let listed = run(folder.path(), &["user", "list"], &[]).await;
    assert_eq!(listed.code, Some(0), "a command, too: {listed:?}");

    write("other.toml", "auth_database_url = 'sqlite://elsewhere/auth.db'\n");
    for (arguments, settings) in [
        (&["user", "list", "--auth-config-file", "other.toml"][..], &[][..]),
        (&["user", "list"], &[("AUTH_CONFIG_FILE", "other.toml")]),
        (&["user", "list"], &[("AUTH_DATABASE_URL", "sqlite://elsewhere/auth.db")]),
        (&["user", "list", "--auth-database-url", "sqlite://elsewhere/auth.db"], &[]),
    ] {
        let ended = run(folder.path(), arguments, settings).await;
        assert!(ended.stderr.contains("elsewhere/auth.db"), "{arguments:?} {settings:?}: {ended:?}");
    }
    write("auth-service.toml", "auth_databas_url = 'x'\n");
    let ended = run(folder.path(), &["user", "list"], &[]).await;
    assert!(ended.code == Some(64) && ended.stderr.contains("auth_databas_url"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn resource_service_finds_its_file_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resource-service.toml"), "resource_leeway = 'soon'\n").unwrap();
    let ended = Start::of(RESOURCE).within(folder.path()).end().await;
    assert!(ended.code == Some(64) && ended.stderr.contains("RESOURCE_LEEWAY"), "{ended:?}");
}
