//! The command line beside a running service. A change takes effect within 50 ms, and the tests wait for it.

use std::{
    future::IntoFuture as _,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    Answer, World,
    operator::{json_of, run, world_of_today},
    process::{AUTH, binary},
    world::{ADMIN, BILLING, ISSUER, PLAIN},
};
use tokio::sync::mpsc;

#[track_caller]
fn revoked(answer: &Answer) {
    answer.challenges(ISSUER, 401, "invalid_token", "The token has been revoked", &[]);
}

/// Waits until each interface of the running service refuses the token.
async fn refused(world: &World, token: &str) {
    tests::until("the token is inactive", async || {
        let answer = world.grpc().basic(BILLING.0, BILLING.1).introspect(token).await.unwrap();
        (!answer.active).then_some(())
    })
    .await;
    revoked(&world.auth().get("/me").bearer(token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_an_account_with_a_password_that_is_shown_once() {
    let world = world_of_today(&[]).await;
    let made = json_of(&world, &["user", "add", "New@Example.com", "--role", "editor"]).await;
    assert_eq!(made["email"], json!("new@example.com"));
    let tokens = world.login_as(("new@example.com", made["password"].as_str().unwrap())).await;
    assert_eq!(tokens.claims()["roles"], json!(["editor"]));

    let (code, _, error) = run(&world, &["user", "add", "new@example.com"]).await;
    assert_eq!((code, error.trim()), (1, "the email address is taken"));
    let (code, _, error) = run(&world, &["user", "add", "nobody"]).await;
    assert_eq!(code, 1);
    assert!(error.contains("name@example.com"), "{error}");
    let (code, _, error) = run(&world, &["user", "show", "nobody@example.com"]).await;
    assert_eq!((code, error.trim()), (1, "\"nobody@example.com\": there is no such account"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_typed_is_printed_inert() {
    let world = world_of_today(&[]).await;
    let agent = "curl\u{202e}\u{200b}\u{9b}2J\u{feff}/8";
    let login = json!({"email": ADMIN.0, "password": ADMIN.1});
    world.auth().post("/login").header("user-agent", agent).json(&login).await.is(200);
    let sessions = ["session", "list", ADMIN.0];
    for arguments in [&["audit"][..], &sessions] {
        let (code, output, error) = run(&world, arguments).await;
        assert_eq!(code, 0, "{error}");
        assert!(output.contains("curl\\u{202e}\\u{200b}\\u{9b}2J\\u{feff}/8"), "{output}");
        assert!(!output.contains(['\u{202e}', '\u{200b}', '\u{9b}', '\u{feff}']), "{output}");
        let (_, output, _) = run(&world, &[arguments, &["--json"]].concat()).await;
        assert!(!output.contains(['\u{202e}', '\u{200b}', '\u{9b}', '\u{feff}']), "{output}");
        let listed: Value = serde_json::from_str(&output).unwrap();
        let is_named = |row: &Value| row["device"] == json!(agent);
        assert!(listed.as_array().unwrap().iter().any(is_named), "{listed}");
    }
    let (code, _, error) = run(&world, &["user", "show", "a\u{202e}b@example.com"]).await;
    assert!(code == 1 && error.contains("\\u{202e}") && !error.contains('\u{202e}'), "{error}");
    world.stop().await;
}

const REFUSED: &str =
    "The invitation is not good: it was used, has expired, or is for another address; ask for a new one";

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_works_once_and_expires() {
    let world = world_of_today(&[("AUTH_REGISTRATION", "invite")]).await;
    let register = async |email: &str, invite: &Value| {
        let body = json!({"email": email, "password": "correct horse battery", "invite": invite});
        world.auth().post("/register").json(&body).await
    };
    let invitation = json_of(&world, &["user", "invite", "--role", "editor"]).await;
    let code = &invitation["invite"];
    assert_eq!(invitation["email"], Value::Null);
    register(ADMIN.0, code).await.refuses(409, "email_taken", "There is an account with this email address");
    register("new@example.com", code).await.is(201);
    let tokens = world.login_as(("new@example.com", "correct horse battery")).await;
    assert_eq!(tokens.claims()["roles"], json!(["editor"]));
    register("other@example.com", code).await.refuses(403, "registration_closed", REFUSED);

    // The invitation is for one address, in any spelling.
    let invitation = json_of(&world, &["user", "invite", "Ann@example.com"]).await;
    register("bob@example.com", &invitation["invite"]).await.refuses(403, "registration_closed", REFUSED);
    register("ann@EXAMPLE.com", &invitation["invite"]).await.is(201);
    let (code, _, error) = run(&world, &["user", "invite", ADMIN.0]).await;
    assert_eq!((code, error.trim()), (1, "the email address is taken"));

    let late = json_of(&world, &["user", "invite", "--expires-in", "1h"]).await;
    world.pass(Duration::from_secs(3_599));
    let garbage = json!(format!("{}x", late["invite"].as_str().unwrap()));
    register("late@example.com", &garbage).await.refuses(403, "registration_closed", REFUSED);
    world.pass(Duration::from_secs(60));
    register("late@example.com", &late["invite"]).await.refuses(403, "registration_closed", REFUSED);

    let audit = json_of(&world, &["audit"]).await;
    // The service's own events come at any time and do not matter here.
    let is_own = |entry: &Value| entry["event"] == "signing_key_published";
    let audit: Value = audit.as_array().unwrap().iter().filter(|entry| !is_own(entry)).cloned().collect();
    let events: Vec<_> = audit.as_array().unwrap().iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(events, ["invited", "registered", "login", "invited", "registered", "invited"]);
    assert!(!audit.to_string().contains("inv_"), "{audit}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_hold_one_invitation_one_gets_an_account() {
    let world = world_of_today(&[("AUTH_REGISTRATION", "invite")]).await;
    let invitation = json_of(&world, &["user", "invite"]).await;
    let tries = (0..8).map(|number| {
        let body = json!({
            "email": format!("{number}@example.com"),
            "password": "correct horse battery",
            "invite": invitation["invite"],
        });
        tokio::spawn(world.auth().post("/register").json(&body).into_future())
    });
    let mut statuses = Vec::new();
    for answer in tries.collect::<Vec<_>>() {
        statuses.push(answer.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403, 403, 403, 403, 403, 403, 403]);
    assert_eq!(json_of(&world, &["user", "list"]).await.as_array().unwrap().len(), 3);
    world.stop().await;
}

/// Version of the key that made a refresh token.
fn key_version(token: &str) -> u16 {
    let bytes = tests::jws::unb64(token.strip_prefix("rt_").unwrap());
    u16::from_be_bytes([bytes[0], bytes[1]])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_refresh_tokens_is_replaced_and_nobody_is_logged_out() {
    let mut world = world_of_today(&[("AUTH_REFRESH_GRACE", "5m")]).await;
    let (idle, active) = (world.login().await, world.login().await);

    let browser = json!({"email": ADMIN.0, "password": ADMIN.1, "delivery": "cookie"});
    let browser = world.auth().post("/login").json(&browser).await;
    let csrf = browser.is(200)["csrf"].clone();
    let cookie = browser.headers.get_all("set-cookie").iter().nth(1).unwrap().to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();

    let lost = world.login().await;
    let successor = world.refresh(&lost.refresh).await;

    let made = json_of(&world, &["refresh-key", "rotate"]).await;
    assert_eq!(made["version"], json!(2));
    assert_eq!(json_of(&world, &["refresh-key", "rotate"]).await, made, "one at a time");
    // A new key signs nothing in its first ten seconds, so that every process has read it by then.
    let early = world.refresh(&active.refresh).await;
    assert_eq!(key_version(&early.refresh), 1);
    // The machine's clock has moved a little further than the world's.
    world.pass(Duration::from_secs(60));
    let first = tests::until("the service has read the new key", async || {
        let tokens = world.login().await;
        (key_version(&tokens.refresh) == 2).then_some(tokens)
    })
    .await;
    let newer = world.refresh(&early.refresh).await;
    assert_eq!(key_version(&newer.refresh), 2);
    // A new key between a lost answer and its retry does not change the successor.
    assert_eq!(world.refresh(&lost.refresh).await.refresh, successor.refresh);
    world.restart().await;
    for token in [&idle.refresh, &newer.refresh, &first.refresh] {
        world.refresh(token).await;
    }
    let by_cookie = world.auth().post("/refresh").header("cookie", cookie);
    let by_cookie = by_cookie.header("x-csrf-token", csrf.as_str().unwrap()).await;
    assert_eq!(by_cookie.is(200)["csrf"], csrf, "one value for the session's life");
    let keys = json_of(&world, &["refresh-key", "list"]).await;
    let versions: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["version"].clone()).collect();
    assert_eq!(versions, [1, 2]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_for_people_and_for_programs() {
    let world = world_of_today(&[]).await;
    let accounts = json_of(&world, &["user", "list"]).await;
    let emails: Vec<_> =
        accounts.as_array().unwrap().iter().map(|account| account["email"].clone()).collect();
    assert_eq!(emails, [json!(PLAIN.0), json!(ADMIN.0)]);
    let (code, table, _) = run(&world, &["user", "list"]).await;
    assert_eq!(code, 0);
    assert!(table.starts_with("ID "), "{table}");
    assert!(table.contains("test@example.com   admin"), "{table}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_out_at_once_and_can_come_back() {
    let world = world_of_today(&[]).await;
    let tokens = world.login().await;
    json_of(&world, &["user", "disable", ADMIN.0]).await;
    refused(&world, &tokens.access).await;
    world.try_refresh(&tokens.refresh).await.refuses(
        401,
        "invalid_grant",
        "The refresh token is not accepted; log in",
    );
    let disabled = world.try_login(ADMIN).await;
    let unknown = world.try_login(("nobody@example.com", ADMIN.1)).await;
    disabled.refuses(401, "bad_credentials", "Bad email or password");
    assert_eq!(disabled.text(), unknown.text());
    json_of(&world, &["user", "enable", ADMIN.0]).await;
    world.login().await;
    revoked(&world.auth().get("/me").bearer(&tokens.access).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_under_way_while_its_account_is_disabled_begins_no_session() {
    let world = world_of_today(&[("AUTH_HASH_SLOTS", "1")]).await;
    // The logins wait for the one slot. The last one is hashed long after its account was looked up.
    let login = |password: &str| {
        let body = json!({"email": ADMIN.0, "password": password});
        tokio::spawn(world.auth().post("/login").json(&body).into_future())
    };
    let mut waiting: Vec<_> = (0..40).map(|_| login("a wrong pass phrase")).collect();
    waiting.push(login(ADMIN.1));
    json_of(&world, &["user", "disable", ADMIN.0]).await;
    let mut last = None;
    for answer in waiting {
        last = Some(answer.await.unwrap());
    }
    // If this login was faster than the operator, its session is among the ended ones.
    let last = last.unwrap();
    if last.status == 200 {
        refused(&world, last.json()["access_token"].as_str().unwrap()).await;
    } else {
        last.refuses(401, "bad_credentials", "Bad email or password");
    }
    assert_eq!(json_of(&world, &["session", "list", ADMIN.0]).await, json!([]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_taken_away_is_gone_from_access_tokens_while_the_session_goes_on() {
    let world = world_of_today(&[]).await;
    let tokens = world.login().await;
    json_of(&world, &["user", "set-roles", ADMIN.0, "--role", "viewer"]).await;
    refused(&world, &tokens.access).await;
    let refreshed = world.refresh(&tokens.refresh).await;
    assert_eq!(refreshed.claims()["roles"], json!(["viewer"]));
    world.auth().get("/me").bearer(&refreshed.access).await.is(200);
    // Adding a role revokes nothing.
    json_of(&world, &["user", "set-roles", ADMIN.0, "--role", "viewer", "--role", "admin"]).await;
    world.auth().get("/me").bearer(&refreshed.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_gone_with_its_sessions() {
    let world = world_of_today(&[]).await;
    let tokens = world.login_as(PLAIN).await;
    json_of(&world, &["user", "delete", PLAIN.0]).await;
    refused(&world, &tokens.access).await;
    world.try_refresh(&tokens.refresh).await.refuses(
        401,
        "invalid_grant",
        "The refresh token is not accepted; log in",
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_seen_and_ended_by_an_operator() {
    let world = world_of_today(&[]).await;
    let (one, two) = (world.login().await, world.login().await);
    world.pass(Duration::from_secs(1));
    let sessions = json_of(&world, &["session", "list", ADMIN.0]).await;
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    let id = one.claims()["sid"].as_str().unwrap().to_owned();
    assert_eq!(json_of(&world, &["session", "revoke", &id]).await, json!({"id": id, "ended": true}));
    refused(&world, &one.access).await;
    world.auth().get("/me").bearer(&two.access).await.is(200);
    assert_eq!(json_of(&world, &["session", "revoke", &id]).await, json!({"id": id, "ended": false}));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_tells_who_did_what_from_where_and_no_secret() {
    let world = world_of_today(&[]).await;
    let tokens = world.login().await;
    world.try_login((ADMIN.0, "hunter2-hunter2")).await.is(401);
    world.refresh(&tokens.refresh).await;
    world.pass(Duration::from_secs(11));
    world.try_refresh(&tokens.refresh).await.is(401);
    json_of(&world, &["user", "disable", PLAIN.0]).await;
    let audit = json_of(&world, &["audit"]).await;
    // The service's own events come at any time and do not matter here.
    let is_own = |entry: &Value| entry["event"] == "signing_key_published";
    let audit: Value = audit.as_array().unwrap().iter().filter(|entry| !is_own(entry)).cloned().collect();
    let events: Vec<_> = audit.as_array().unwrap().iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(events, ["login", "login_failed", "refresh_reused", "account_disabled"]);
    let theft = &audit[2];
    assert_eq!(theft["session"], tokens.claims()["sid"]);
    assert_eq!(theft["address"], json!("127.0.0.1"));
    assert!(theft["detail"].as_str().unwrap().contains("127.0.0.1"), "{theft}");
    let text = audit.to_string();
    for secret in [&tokens.access, &tokens.refresh, ADMIN.1, "hunter2"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(audit[1]["account"], tokens.claims()["sub"]);
    assert_eq!(audit[1]["email"], json!(ADMIN.0));
    assert!(!theft["detail"].as_str().unwrap().contains("Some("), "{theft}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let by = audit[3]["detail"].as_str().unwrap();
    assert!(by.starts_with("by an operator (uid ") && by.contains(host.trim()), "{by}");
    let later = json_of(&world, &["audit", "--after", "2", "--limit", "1"]).await;
    assert_eq!(later.as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_lists_the_newest_and_what_is_asked_for() {
    let world = world_of_today(&[]).await;
    for _ in 0..3 {
        world.login().await;
    }
    world.try_login((PLAIN.0, "hunter2-hunter2")).await.is(401);
    json_of(&world, &["client", "disable", BILLING.0]).await;
    let listed = async |options: &[&str]| {
        let audit = json_of(&world, &[&["audit"], options].concat()).await;
        let events = audit.as_array().unwrap().iter();
        let events = events.filter(|entry| entry["event"] != "signing_key_published");
        events.map(|entry| entry["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ids = async |options: &[&str]| {
        let audit = json_of(&world, &[&["audit", "--event", "login"], options].concat()).await;
        let ids = audit.as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap());
        ids.collect::<Vec<_>>()
    };
    let logins = ids(&[]).await;
    assert_eq!(ids(&["--limit", "2"]).await, logins[1..], "the newest");
    assert_eq!(ids(&["--since", "2000-01-01", "--limit", "2"]).await, logins[..2], "the first ones");
    let all = ["login", "login", "login", "login_failed", "client_disabled"];
    for (options, expected) in [
        (&[][..], &all[..]),
        (&["--since", "1d"], &all),
        (&["--since", "2000-01-01T00:00:00Z", "--until", "2000-01-02"], &[]),
        (&["--until", "3000-01-01"], &all),
        (&["--account", ADMIN.0], &all[..3]),
        (&["--account", PLAIN.0], &all[3..4]),
        (&["--client", BILLING.0], &all[4..]),
        (&["--event", "login_failed"], &all[3..4]),
        (&["--event", "login", "--limit", "1"], &all[..1]),
        (&["--event", "login", "--account", PLAIN.0], &[]),
    ] {
        assert_eq!(listed(options).await, expected, "{options:?}");
    }
    for (options, says) in [
        (["--since", "yesterday"], "write a time"),
        (["--event", "logins"], "login"),
        (["--account", "nobody@example.com"], "no such account"),
    ] {
        let (code, _, said) = run(&world, &[&["audit"], &options[..]].concat()).await;
        assert!(code != 0 && said.contains(says), "{options:?}: {said}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_followed_line_by_line() {
    let world = world_of_today(&[]).await;
    let sids = [world.login().await, world.login().await].map(|tokens| tokens.claims()["sid"].clone());
    let mut command = Command::new(binary(AUTH));
    command.env_clear().envs(world.auth_settings());
    command.args([
        "audit",
        "--event",
        "login",
        "--since",
        "2000-01-01",
        "--limit",
        "1",
        "--follow",
        "--json",
    ]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(follower.stdout.take().unwrap());
    let (sender, mut lines) = mpsc::unbounded_channel();
    thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let mut next = async || -> Value { serde_json::from_str(&lines.recv().await.unwrap()).unwrap() };
    assert_eq!(next().await["session"], sids[0], "as many as the limit says");
    for _ in 0..2 {
        let tokens = world.login().await;
        assert_eq!(next().await["session"], tokens.claims()["sid"], "and what happens from now on");
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_clients_and_reached_limits_are_in_the_audit_counted() {
    let mut world = world_of_today(&[("AUTH_LOGIN_LIMITS", "account=2/min,address=off")]).await;
    let wrong = async |id: &str| {
        let form = [("grant_type", "client_credentials")];
        world.auth().post("/oauth/token").basic((id, "not-the-secret")).form(&form).await.is(401);
    };
    for _ in 0..5 {
        wrong(BILLING.0).await;
    }
    wrong("nobody-knows-it").await;
    for expected in [401, 401, 429, 429, 429] {
        world.try_login((PLAIN.0, "hunter2-hunter2")).await.is(expected);
    }
    world.restart().await;
    let audit = json_of(&world, &["audit"]).await;
    let of = |event: &str| {
        let of = audit.as_array().unwrap().iter().filter(|entry| entry["event"] == event);
        let mut of: Vec<_> = of.map(|entry| (entry["client"].clone(), entry["detail"].clone())).collect();
        of.sort_by_key(|(client, _)| client.to_string());
        of
    };
    let refused = "a client's secret";
    let expected = [
        (json!(BILLING.0), json!(format!("{refused}: 5 times within a minute"))),
        (Value::Null, json!(format!("{refused}: once within a minute"))),
    ];
    assert_eq!(of("client_refused"), expected);
    assert_eq!(of("limit_reached"), [(Value::Null, json!("login: 3 times within a minute"))]);
    world.stop().await;
}

const WERKZEUG: &str =
    "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f";
const DJANGO: &str = "pbkdf2_sha256$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=";
const BCRYPT: &str = "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.";

/// "correct horse battery staple", hashed by Werkzeug, Django and bcrypt.
const IMPORTED: [(&str, &str); 3] =
    [("flask@example.com", WERKZEUG), ("django@example.com", DJANGO), ("bcrypt@example.com", BCRYPT)];

#[tokio::test(flavor = "multi_thread")]
async fn users_are_imported_with_their_passwords_and_get_a_hash_of_ours_at_their_first_login() {
    let world = world_of_today(&[]).await;
    let file = world.path("users.jsonl");
    let good = IMPORTED
        .map(|(email, hash)| json!({"email": email, "password_hash": hash, "roles": ["member"]}).to_string());
    let bad = [
        "{".to_owned(),
        json!({"email": "nobody", "password_hash": WERKZEUG}).to_string(),
        json!({"email": "a@example.com", "password_hash": "md5$x"}).to_string(),
        json!({"email": "a@example.com"}).to_string(),
        json!({"email": ADMIN.0, "password_hash": WERKZEUG}).to_string(),
        json!({"email": "FLASK@example.com", "password_hash": WERKZEUG}).to_string(),
        json!({"email": "b@example.com", "password_hash": BCRYPT.replace("$04$", "$31$")}).to_string(),
    ];
    // An editor put a byte order mark before the first line.
    std::fs::write(&file, format!("\u{feff}{}", [&good[..], &bad[..]].concat().join("\n"))).unwrap();
    let file = file.to_str().unwrap();

    let (code, output, error) = run(&world, &["user", "import", file, "--strict"]).await;
    assert_eq!((code, error.trim()), (1, "nothing was imported"));
    assert!(output.contains("line 8: there is an account"), "{output}");
    assert_eq!(json_of(&world, &["user", "list"]).await.as_array().unwrap().len(), 2);

    let (code, report, error) = run(&world, &["user", "import", file, "--json"]).await;
    assert_eq!((code, error.trim()), (1, "7 lines were left out"));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["imported"], json!(3));
    let problem = |at: usize| report["left_out"][at]["problem"].as_str().unwrap().to_owned();
    assert!(problem(0).contains("at column 1") && !problem(0).contains("line"), "{}", problem(0));
    assert!(problem(2).contains("no password hash of a known form"), "{}", problem(2));
    assert!(problem(6).contains("too costly"), "{}", problem(6));
    let lines: Vec<_> =
        report["left_out"].as_array().unwrap().iter().map(|line| line["line"].clone()).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8, 9, 10]);
    assert!(!report.to_string().contains('$'), "no hash is repeated: {report}");

    for (email, hash) in IMPORTED {
        world.try_login((email, "correct horse battery stapler")).await.is(401);
        assert!(stored(&world, hash), "{email} keeps its hash until the password is known");
        let tokens = world.login_as((email, "correct horse battery staple")).await;
        assert_eq!(tokens.claims()["roles"], json!(["member"]));
        assert!(!stored(&world, hash), "{email} has a hash of ours");
        world.login_as((email, "correct horse battery staple")).await;
    }
    world.stop().await;
}

/// Whether an account has exactly this hash.
fn stored(world: &World, hash: &str) -> bool {
    let store = auth_service::store::Store::open(world.path("auth.db").into(), None).unwrap();
    store.accounts_after(None, 100).unwrap().iter().any(|account| account.password_hash.as_str() == hash)
}
