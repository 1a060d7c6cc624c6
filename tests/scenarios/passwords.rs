//! Passwords: one password has many spellings (RFC 8265), and some are refused where people choose them.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tests::{
    Answer, World,
    operator::{json_of, run, world_of_today},
    world::{ADMIN, PLAIN},
};

const OPEN: (&str, &str) = ("AUTH_REGISTRATION", "open");

async fn register(world: &World, email: &str, password: &str) -> Answer {
    world.auth().post("/register").json(&json!({"email": email, "password": password})).await
}

async fn logs_in(world: &World, email: &str, password: &str) -> bool {
    world.try_login((email, password)).await.status == 200
}

/// A hash of these bytes as Django writes it.
fn django(password: &str) -> String {
    let mut key = [0; 32];
    derive(PBKDF2_HMAC_SHA256, NonZeroU32::new(1_000).unwrap(), b"salt", password.as_bytes(), &mut key);
    format!("pbkdf2_sha256$1000$salt${}", STANDARD.encode(key))
}

fn stored(world: &World, email: &str) -> String {
    let database = countermark_service::database::rusqlite::Connection::open(world.path("auth.db")).unwrap();
    database
        .query_row("SELECT password_hash FROM accounts WHERE email = ?1", [email], |row| row.get(0))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_one_however_it_is_typed() {
    let world = World::with(&[OPEN]).await;
    for (number, (chosen, typed, other)) in [
        ("cafe\u{301} au lait", &["caf\u{e9} au lait", "café\u{a0}au\u{2003}lait"][..], "cafe au lait"),
        (
            "\u{1112}\u{1161}\u{11ab}글 ostriches",
            &["한글 ostriches", "한글\u{3000}ostriches"],
            "한글ostriches",
        ),
        ("\u{212b}ngstro\u{308}m battery", &["Ångström battery"], "ångström battery"),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("user{number}@example.com");
        register(&world, &email, chosen).await.is(201);
        for typed in typed.iter().chain([&chosen]) {
            assert!(logs_in(&world, &email, typed).await, "{chosen:?} as {typed:?}");
        }
        assert!(!logs_in(&world, &email, other).await, "{chosen:?} is not {other:?}");
    }
    let tokens = world.login_as(("user0@example.com", "café au lait")).await;
    let body = json!({"current_password": "café au lait", "new_password": "cafe\u{301} au lait"});
    let same = world.auth().post("/password").bearer(&tokens.access).json(&body).await;
    same.is_invalid_request("choose another");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_not_everybody_can_type_is_refused_where_a_password_is_chosen() {
    let world = World::with(&[OPEN]).await;
    for password in [
        "tab\there it is",
        "zero\u{200b}width here",
        "bidi\u{202e}override",
        "nul\0 in the middle",
        "private\u{e000}use area",
    ] {
        register(&world, "one@example.com", password)
            .await
            .is_invalid_request("can't be seen or typed everywhere");
    }
    register(&world, "one@example.com", &"é".repeat(600)).await.is_invalid_request("8 to 1024 bytes");
    register(&world, "one@example.com", "e\u{301}e\u{301}e\u{301}")
        .await
        .is_invalid_request("8 to 1024 bytes");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_of_before_work_with_what_was_typed_then_and_are_made_anew() {
    let world = world_of_today(&[]).await;
    let raw = "cafe\u{301} au lait";
    let unprepared = "with a\ttab inside";
    let lines = [("raw@example.com", raw), ("tab@example.com", unprepared)]
        .map(|(email, password)| json!({"email": email, "password_hash": django(password)}).to_string());
    std::fs::write(world.path("users.jsonl"), lines.join("\n")).unwrap();
    json_of(&world, &["user", "import", world.path("users.jsonl").to_str().unwrap()]).await;

    assert!(!logs_in(&world, "raw@example.com", "café au lait").await, "the hash is of the other bytes");
    assert!(logs_in(&world, "raw@example.com", raw).await);
    assert!(stored(&world, "raw@example.com").starts_with("$argon2id$"));
    assert!(logs_in(&world, "raw@example.com", "café au lait").await, "from now on it is one password");
    assert!(logs_in(&world, "raw@example.com", raw).await);

    for _ in 0..2 {
        assert!(logs_in(&world, "tab@example.com", unprepared).await, "it can't be chosen, and still works");
    }
    assert!(stored(&world, "tab@example.com").starts_with("pbkdf2_sha256$"), "there is no prepared form");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_anybody_would_guess_is_refused_with_the_reason() {
    let world = World::with(&[OPEN]).await;
    let tokens = world.login_as(PLAIN).await;
    for (password, why) in [
        ("password", "many people use"),
        ("P@ssw0rd2024!", "many people use"),
        ("iloveyou1", "many people use"),
        ("abcabcabc", "repeats a few letters"),
        ("qwertyuiop", "follows a row"),
        ("19691231", "is a number"),
        ("plain123", "made of the email address"),
    ] {
        let body = json!({"current_password": PLAIN.1, "new_password": password});
        let changed = world.auth().post("/password").bearer(&tokens.access).json(&body).await;
        for answer in [changed, register(&world, "plain@other.example.com", password).await] {
            let body = answer.is(400);
            assert_eq!(body["error"], "weak_password", "{password}: {body}");
            let msg = body["msg"].as_str().unwrap();
            assert!(msg.contains(why) && msg.contains("choose"), "{password}: {msg}");
            assert!(password == "password" || !msg.contains(password), "the password is not repeated");
        }
    }
    register(&world, "plain@other.example.com", "ostrich velcro tangent").await.is(201);
    // The bootstrap file said `password`, and its account works.
    world.login_as(ADMIN).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_chooses_no_weak_password_either() {
    let world = world_of_today(&[]).await;
    let file = world.path("password.txt");
    for (password, works) in [("welcome1", false), ("new-user1", false), ("ostrich velcro tangent", true)] {
        std::fs::write(&file, password).unwrap();
        let path = file.to_str().unwrap();
        let (code, _, error) =
            run(&world, &["user", "add", "new-user@example.com", "--password-file", path]).await;
        assert_eq!(code == 0, works, "{password}: {error}");
        assert!(works || error.contains("choose several words"), "{error}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_adds_passwords_that_nobody_may_choose() {
    let mut world = World::with(&[OPEN]).await;
    register(&world, "before@example.com", "Winter Is Coming Soon").await.is(201);
    let list = world.path("blocklist.txt");
    std::fs::write(&list, "winter is coming soon\r\n\n  cafe\u{301} crème brûlée  \n").unwrap();
    let path = list.to_str().unwrap().to_owned();
    world.restart_with(&[OPEN, ("AUTH_PASSWORD_BLOCKLIST_FILE", &path)]).await;
    for password in ["winter is coming soon", "WINTER is coming soon", " winter is coming soon "] {
        let refused = register(&world, "after@example.com", password).await.is(400);
        assert_eq!(
            (&refused["error"], refused["msg"].as_str().unwrap().contains("on a list")),
            (&json!("weak_password"), true)
        );
    }
    world.login_as(("before@example.com", "Winter Is Coming Soon")).await;
    register(&world, "after@example.com", "summer is coming late").await.is(201);
    world.stop().await;
}
