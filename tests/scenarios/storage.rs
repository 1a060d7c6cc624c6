//! Stored data in trouble: the database is locked, full, read-only or gone, or the clock jumps. Stored data does not
//! grow without end.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use countermark::clock::Clock as _;
use countermark_service::database::rusqlite::Connection;
use serde_json::json;
use tests::{
    World,
    effort::effort,
    process::{AUTH, Process, Start},
    until,
    wire::{Request, Wire},
    world::{ADMIN, BILLING},
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_locked_writes_are_503_and_nothing_is_spent() {
    let world = World::new().await;
    let tokens = world.login().await;
    let locked = Connection::open(world.path("auth.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.try_refresh(&tokens.refresh).await.is_unavailable();
    world.try_login(ADMIN).await.is_unavailable();
    world.auth().get("/.well-known/jwks.json").await.is(200);
    world.protected(&tokens.access).await.is(200);
    world.auth().get("/me").bearer(&tokens.access).await.is(200);
    assert!(world.introspect(&tokens.access).await.active);
    locked.execute_batch("ROLLBACK").unwrap();
    let next = world.refresh(&tokens.refresh).await;
    world.refresh(&next.refresh).await;
    world.stop().await;
}

/// Search path of the shell's programs.
const PROGRAMS: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// Mounts a disk of 2 MiB in a mount namespace and runs a program there. It needs no privilege, and the disk disappears
/// with the process.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=2m none "$0" && exec "$@""#;

/// As that, but the program runs once before, and then something else fills the disk.
const FULL_DISK: &str = r#"mount -t tmpfs -o size=2m none "$0"
"$@" > /dev/null 2>&1 & pid=$!
until [ -s "$0/data/auth.db.reserve" ]; do kill -0 "$pid"; done
kill -TERM "$pid"; wait "$pid"
! dd if=/dev/zero of="$0/filler" bs=4k 2> /dev/null
exec "$@""#;

async fn on_a_disk_of_its_own() -> (World, Process, PathBuf) {
    on_a_disk(SMALL_DISK).await
}

/// The issuer with its data on such a disk. The disk is a folder of the world.
async fn on_a_disk(script: &str) -> (World, Process, PathBuf) {
    let mut world = World::of_auth_alone(&[]).await;
    world.halt().await;
    let disk = world.path("disk");
    fs::create_dir(&disk).unwrap();
    let start = Start::of("/usr/bin/unshare").arg("--map-root-user").arg("--mount");
    let start = start.arg("sh").arg("-ec").arg(script).arg(&disk).arg(tests::process::binary(AUTH));
    let start = start.envs(world.auth_settings());
    let database = disk.join("data/auth.db");
    let start = start
        .env("AUTH_DATABASE_URL", format!("sqlite://{}", database.display()))
        .env("AUTH_MASTER_KEY_FILE", disk.join("master.key"))
        .env("PATH", PROGRAMS);
    let auth = start.listen().await;
    (world, auth, disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_read_only_writes_are_503_and_it_recovers_by_itself() {
    let (world, auth, disk) = on_a_disk_of_its_own().await;
    let mut wire = Wire::to(auth.address("http"));
    let login = Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
    let tokens = wire.ask(&login).is(200);
    let access = tokens["access_token"].as_str().unwrap();
    let refresh = Request::new("POST", "/refresh").bearer(tokens["refresh_token"].as_str().unwrap());
    let within = |script: &str| {
        let pid = auth.pid().as_raw_nonzero().to_string();
        let mut command = Command::new("/usr/bin/nsenter");
        command.args(["--user", "--preserve-credentials", "--mount", "--target", &pid, "sh", "-ec", script]);
        let done = command.arg(&disk).env("PATH", PROGRAMS).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };

    // Another mount at the same place, as when a volume returns after a disk failure.
    within(r#"cd "$0"; cp -a data copy; mount --bind copy data; mount -o remount,bind,ro data"#);
    for _ in 0..3 {
        wire.ask(&refresh).is_unavailable();
        wire.ask(&login).is_unavailable();
        wire.ask(&Request::new("GET", "/.well-known/jwks.json")).is(200);
    }
    assert_eq!(auth.ops().get("/health/ready").await.status, 503);
    // Others may revoke in the file that is there now, so this process doesn't know what is revoked.
    let grpc = auth.grpc().basic(BILLING.0, BILLING.1);
    until("it says that it doesn't know", async || {
        grpc.introspect(access).await.is_err_and(|error| error.code() == Code::Unavailable).then_some(())
    })
    .await;
    within(r#"umount --lazy "$0/data""#);
    let next = wire.ask(&refresh).is(200);
    wire.ask(&Request::new("POST", "/refresh").bearer(next["refresh_token"].as_str().unwrap())).is(200);
    wire.ask(&login).is(200);
    assert_eq!(auth.ops().get("/health/ready").await.status, 200);
    assert_eq!(auth.stop().await.code, Some(0));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_writes_are_503_and_it_recovers_by_itself() {
    let (world, auth, disk) = on_a_disk_of_its_own().await;
    // Path of the disk inside the process's namespace.
    let inside = format!("/proc/{}/root{}", auth.pid().as_raw_nonzero(), disk.display());
    let mut wire = Wire::to(auth.address("http"));
    let login = Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
    let tokens = wire.ask(&login).is(200);
    let refresh = Request::new("POST", "/refresh").bearer(tokens["refresh_token"].as_str().unwrap());
    let me = Request::new("GET", "/me").bearer(tokens["access_token"].as_str().unwrap());

    // The filler takes the whole rest of the disk. Writes use up the space that the database log holds already.
    let filler = format!("{inside}/filler");
    assert!(fs::write(&filler, vec![0; 4 * 1024 * 1024]).is_err(), "the disk is full");
    let is_full = || wire.ask(&login).status == 503;
    assert!(std::iter::repeat_with(is_full).take(2_000).any(|is_full| is_full), "a full disk is noticed");
    for _ in 0..3 {
        wire.ask(&refresh).is_unavailable();
        wire.ask(&login).is_unavailable();
        wire.ask(&Request::new("GET", "/.well-known/jwks.json")).is(200);
        wire.ask(&me).is(200);
    }
    assert_eq!(auth.ops().get("/health/ready").await.status, 503, "the last write did not go through");
    fs::remove_file(&filler).unwrap();
    // The failed requests have spent nothing.
    let next = wire.ask(&refresh).is(200);
    wire.ask(&Request::new("POST", "/refresh").bearer(next["refresh_token"].as_str().unwrap())).is(200);
    assert_eq!(auth.ops().get("/health/ready").await.status, 200);
    assert_eq!(auth.stop().await.code, Some(0));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_on_a_full_disk_says_so_and_recovers_by_itself() {
    let (world, auth, disk) = on_a_disk(FULL_DISK).await;
    let inside = format!("/proc/{}/root{}", auth.pid().as_raw_nonzero(), disk.display());
    let mut wire = Wire::to(auth.address("http"));
    wire.ask(&Request::new("GET", "/.well-known/jwks.json")).is(200);
    auth.ops().get("/health/live").await.is(200);
    let login = Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
    // Whatever the start has left is used up.
    let is_full = || wire.ask(&login).status == 503;
    assert!(std::iter::repeat_with(is_full).take(2_000).any(|is_full| is_full), "the disk is full");
    assert_eq!(auth.ops().get("/health/ready").await.status, 503);
    let reserve = format!("{inside}/data/auth.db.reserve");
    assert!(!fs::exists(&reserve).unwrap(), "it is used up");
    fs::remove_file(format!("{inside}/filler")).unwrap();
    wire.ask(&login).is(200);
    assert_eq!(auth.ops().get("/health/ready").await.status, 200);
    // It is there for the next time.
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 256 * 1_024);
    let ended = auth.stop().await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("the service starts with the space that it had reserved"),
        "{}",
        ended.stderr
    );
    world.stop().await;
}

/// Waits until gRPC health reports `status`.
async fn serving(world: &World, status: ServingStatus) {
    until("health tells the truth", async || {
        let mut health = HealthClient::new(world.grpc().channel());
        let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        (answer.status() == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_gone_writes_are_503_and_it_recovers_by_itself() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let tokens = world.login().await;
    let http = world.resource();
    let document = json!({"title": "t", "body": "b"});
    for database in ["auth.db", "resource.db"] {
        std::fs::rename(world.path(database), world.path(&format!("{database}.away"))).unwrap();
    }
    serving(&world, ServingStatus::NotServing).await;
    for ops in [world.auth_ops(), world.resource_ops()] {
        ops.get("/health/live").await.is(200);
        ops.get("/health/ready").await.is(503);
    }
    world.try_login(ADMIN).await.is_unavailable();
    world.try_refresh(&tokens.refresh).await.is_unavailable();
    let new = json!({"email": "new@example.com", "password": "a pass phrase"});
    world.auth().post("/register").json(&new).await.is_unavailable();
    world.auth().post("/logout").bearer(&tokens.access).await.is_unavailable();
    http.post("/documents").bearer(&tokens.access).json(&document).await.is_unavailable();
    // Requests that need no database still work.
    for _ in 0..20 {
        world.auth().get("/.well-known/jwks.json").await.is(200);
        world.protected(&tokens.access).await.is(200);
        assert!(world.introspect(&tokens.access).await.active);
        let asked = world.auth().post("/oauth/introspect").basic(BILLING);
        assert_eq!(asked.form(&[("token", &tokens.access)]).await.is(200)["active"], true);
        let issued = world.auth().post("/oauth/token").basic(BILLING);
        issued.form(&[("grant_type", "client_credentials")]).await.is(200);
    }
    for database in ["auth.db", "resource.db"] {
        std::fs::rename(world.path(&format!("{database}.away")), world.path(database)).unwrap();
    }
    serving(&world, ServingStatus::Serving).await;
    for ops in [world.auth_ops(), world.resource_ops()] {
        until("it is ready again", async || (ops.get("/health/ready").await.status == 200).then_some(()))
            .await;
    }
    // The refused login began no session, and the refused refresh spent nothing.
    let next = world.refresh(&tokens.refresh).await;
    http.post("/documents").bearer(&next.access).json(&document).await.is(201);
    assert_eq!(
        http.get("/documents").bearer(&next.access).await.is(200)["items"].as_array().unwrap().len(),
        1
    );
    world.auth().post("/register").json(&new).await.is(201);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_years_ahead_or_an_hour_back_spent_stays_spent_and_new_logins_work() {
    let hour = Duration::from_hours(1);
    let world = World::new().await;
    let (spent, idle) = (world.login().await, world.login().await);
    let live = world.refresh(&spent.refresh).await;
    let beginning = world.clock.now();

    world.clock.set(beginning.before(hour));
    let refused = world.try_refresh(&spent.refresh).await;
    assert_eq!(refused.status, 401, "a spent token, an hour before it was spent");
    assert_eq!(world.try_refresh(&live.refresh).await.status, 401, "that was theft");
    world.refresh(&idle.refresh).await;
    world.login().await;

    world.clock.set(beginning);
    world.pass(Duration::from_hours(24 * 3_652));
    for token in [&spent.refresh, &live.refresh, &idle.refresh] {
        assert_eq!(world.try_refresh(token).await.status, 401);
    }
    let late = world.login().await;
    world.protected(&late.access).await.is(200);
    let operator = world.operator().await;
    for _ in 0..2 {
        operator.sweep().await.unwrap();
        world.pass(Duration::from_hours(1));
    }
    world.clock.set(beginning);
    for token in [&spent.refresh, &live.refresh] {
        assert_eq!(world.try_refresh(token).await.status, 401, "back again, it is spent still");
    }
    world.login().await;
    world.auth().get("/.well-known/jwks.json").await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_needed_still_is_swept_while_the_clock_is_ahead_by_mistake() {
    let minute = Duration::from_mins(1);
    let mut world = World::new().await;
    let operator = world.operator().await;
    // Long enough for the conservative clock to reach the wall clock's time.
    for _ in 0..20 {
        operator.sweep().await.unwrap();
        world.pass(minute);
    }
    let (ended, honest) = (world.login().await, world.login().await);
    world.auth().post("/logout").bearer(&ended.access).await.is(200);
    let right = world.clock.now();
    world.clock.set(right.after(Duration::from_hours(24 * 3_652)));
    for _ in 0..3 {
        operator.sweep().await.unwrap();
        world.pass(minute);
    }
    world.clock.set(right.after(3 * minute));
    operator.sweep().await.unwrap();
    world.restart().await;
    assert!(!world.introspect(&ended.access).await.active, "it is revoked still");
    assert!(world.introspect(&honest.access).await.active);
    assert_eq!(world.try_refresh(&ended.refresh).await.status, 401);
    world.refresh(&honest.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_swept_out_of_every_table() {
    let limits = ("AUTH_LOGIN_LIMITS", "account=10/min,address=1000/min");
    // Otherwise a key rotation would write to the audit table meanwhile.
    let old_keys = ("AUTH_KEY_MAX_AGE", "3650d");
    let world = World::with(&[limits, old_keys, ("AUTH_AUDIT_TTL", "30d")]).await;
    until("the next key is published, which is audited", async || {
        let keys = world.auth().get("/.well-known/jwks.json").await.is(200);
        (keys["keys"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let tokens = world.login().await;
    world.refresh(&tokens.refresh).await;
    world.try_login((ADMIN.0, "a wrong pass phrase")).await.is(401);
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    world.login().await;
    let operator = world.operator().await;
    operator.invite(None, Vec::new(), Duration::from_hours(1)).await.unwrap();
    operator.keys.replace_refresh_key().await.unwrap();
    let spent =
        auth_service::domain::assertion::Spent { jti: "1".parse().unwrap(), expires_at: world.clock.now() };
    let store = auth_service::store::Store::open(world.path("auth.db").into(), None).unwrap();
    assert!(store.spend_assertion(BILLING.0.parse().unwrap(), spent).await.unwrap());

    let tables = ["sessions", "revocations", "login_tries", "invitations", "assertions", "audit"];
    let connection = Connection::open(world.path("auth.db")).unwrap();
    let rows = |table: &str| -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    for table in tables {
        assert!(rows(table) > 0, "{table} has something in it");
    }
    assert_eq!(rows("refresh_keys"), 2);
    world.pass(Duration::from_hours(24 * 365));
    operator.sweep().await.unwrap();
    for table in tables {
        assert!(rows(table) > 0, "{table}: the clock may be wrong");
    }
    world.pass(Duration::from_mins(16));
    operator.sweep().await.unwrap();
    for table in tables {
        // The audit goes on from its newest entry.
        assert_eq!(rows(table), i64::from(table == "audit"), "{table}");
    }
    assert_eq!(rows("refresh_keys"), 1, "a key whose last token has died is forgotten");
    assert_eq!(rows("accounts"), 2);
    let next = world.login().await;
    world.refresh(&next.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_much_is_written_the_log_and_the_descriptors_stay_flat() {
    let mut world = World::new().await;
    world.halt().await;
    let auth = Start::of(AUTH).envs(world.auth_settings()).listen().await;
    let login = Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
    let mut token = Wire::to(auth.address("http")).ask(&login).is(200)["refresh_token"].clone();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", auth.pid().as_raw_nonzero())).unwrap().count();
    let mut seen = Vec::new();
    for _ in 0..effort(4, 20, 20) {
        // Each round uses a new connection.
        let mut wire = Wire::to(auth.address("http"));
        for _ in 0..500 {
            let answer = wire.ask(&Request::new("POST", "/refresh").bearer(token.as_str().unwrap())).is(200);
            token = answer["refresh_token"].clone();
        }
        wire.hang_up();
        seen.push(descriptors());
        let log = fs::metadata(world.path("auth.db-wal")).unwrap().len();
        assert!(log < 8 * 1024 * 1024, "the log has {log} bytes");
    }
    let (first, last) = (seen[0], seen[seen.len() - 1]);
    // Concurrent reads open more connections. Four of them, with two files each, are kept.
    assert!(last <= first + 8, "descriptors: {seen:?}");
    assert_eq!(auth.stop().await.code, Some(0));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_has_swept_every_process_forgets() {
    let world = World::of_auth_alone(&[]).await;
    let (one, other) = (world.operator().await, world.operator().await);
    for _ in 0..3 {
        let tokens = world.login().await;
        world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    }
    let tokens = world.login().await;
    world.auth().post("/logout-all").bearer(&tokens.access).await.is(200);
    let held = |auth: &auth_service::ops::AuthService| {
        auth.tokens.revocations().read(countermark::verify::RevocationSet::len)
    };
    for process in [&one, &other] {
        process.watch.revoked_so_far().unwrap();
        assert_eq!(held(process), 4);
        process.sweep().await.unwrap();
    }
    world.pass(Duration::from_hours(1));
    for process in [&one, &other] {
        process.sweep().await.unwrap();
        assert_eq!(held(process), 4, "the clock may be wrong");
    }
    world.pass(Duration::from_mins(17));
    one.sweep().await.unwrap();
    other.sweep().await.unwrap();
    assert_eq!(
        (held(&one), held(&other)),
        (0, 0),
        "the second one finds nothing to delete, and forgets the same"
    );
    world.stop().await;
}
