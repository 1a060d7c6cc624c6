//! `POST /login`: credentials begin a session.

use std::future::IntoFuture as _;

use countermark_service::database::rusqlite::Connection;
use serde_json::{Value, json};
use tests::{
    World,
    world::{ADMIN, PLAIN},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_answers_both_tokens_and_their_lifetimes_and_nothing_else() {
    let world = World::new().await;
    let answer = world.try_login(ADMIN).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.is(200);
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "scope", "token_type"];
    assert_eq!(names, expected);
    assert_eq!(body["token_type"], json!("Bearer"));
    assert_eq!(body["expires_in"], json!(900));
    assert_eq!(body["refresh_expires_in"], json!(30 * 24 * 3_600));
    assert_eq!(body["scope"], json!("documents:read documents:write"));
    let refresh = body["refresh_token"].as_str().unwrap();
    assert!(refresh.starts_with("rt_"), "{refresh}");
    assert!(!refresh.contains('.'), "a refresh token is no JWT: {refresh}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lifetimes_of_a_login_are_settings() {
    let world =
        World::with(&[("AUTH_ACCESS_TTL", "2h"), ("AUTH_REFRESH_TTL", "10d"), ("AUTH_SESSION_TTL", "7d")])
            .await;
    let tokens = world.login().await;
    assert_eq!(tokens.answer["expires_in"], json!(7_200));
    assert_eq!(
        tokens.answer["refresh_expires_in"],
        json!(7 * 24 * 3_600),
        "the nearer end is the absolute one"
    );
    let claims = tokens.claims();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7_200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_login_gets_the_same_bytes() {
    let world = World::new().await;
    let long = "x".repeat(5_000);
    let wrong = [
        (ADMIN.0, "not the password"),
        (ADMIN.0, "Password"),
        (ADMIN.0, "password "),
        (ADMIN.0, ""),
        (ADMIN.0, long.as_str()),
        (PLAIN.0, ADMIN.1),
        ("nobody@example.com", ADMIN.1),
        ("no address at all", ADMIN.1),
        ("", ADMIN.1),
        ("", ""),
        (long.as_str(), ADMIN.1),
        ("test@example.com\0", ADMIN.1),
        ("' OR 1=1 --", ADMIN.1),
    ];
    let mut first: Option<Vec<_>> = None;
    for credentials in wrong {
        let answer = world.try_login(credentials).await;
        answer.refuses(401, "bad_credentials", "Bad email or password");
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(first.get_or_insert_with(|| headers.clone()), &headers, "{credentials:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_known_in_every_spelling_of_its_canonical_form() {
    let world = World::new().await;
    let subject = world.login().await.claims()["sub"].clone();
    for email in ["TEST@Example.COM", "  test@example.com\t", "ｔｅｓｔ@example.com", "ＴEST＠example.com"]
    {
        let claims = world.login_as((email, ADMIN.1)).await.claims();
        assert_eq!((&claims["sub"], &claims["email"]), (&subject, &json!(ADMIN.0)), "{email}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_no_json_is_answered_that_json_is_missing() {
    let world = World::new().await;
    let body = json!({"email": ADMIN.0, "password": ADMIN.1}).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json"]
    {
        let answer = world.auth().post("/login").body(content_type, body.clone()).await;
        answer.refuses(400, "invalid_request", "Missing JSON in request");
    }
    world.auth().post("/login").await.refuses(400, "invalid_request", "Missing JSON in request");
    for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
        world.auth().post("/login").body(content_type, body.clone()).await.is(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_another_shape_is_400_and_no_secret_comes_back() {
    let world = World::new().await;
    let secret = "a-very-secret-pass-phrase";
    let cases: [(&str, Vec<u8>); 17] = [
        ("", vec![]),
        ("", b"{".to_vec()),
        ("", b"null".to_vec()),
        ("", br#""a-very-secret-pass-phrase""#.to_vec()),
        ("must be an object", json!([ADMIN.0, ADMIN.1]).to_string().into_bytes()),
        ("missing field `password`", json!({"email": ADMIN.0}).to_string().into_bytes()),
        ("missing field `email`", json!({"password": secret}).to_string().into_bytes()),
        ("", json!({"email": ADMIN.0, "password": 12_345_678}).to_string().into_bytes()),
        ("", json!({"email": ADMIN.0, "password": null}).to_string().into_bytes()),
        ("", json!({"email": ADMIN.0, "password": [secret]}).to_string().into_bytes()),
        ("", json!({"email": {"$ne": secret}, "password": secret}).to_string().into_bytes()),
        (
            "unknown field `roles`",
            json!({"email": ADMIN.0, "password": ADMIN.1, "roles": ["admin"]}).to_string().into_bytes(),
        ),
        (
            "duplicate field `password`",
            br#"{"email":"test@example.com","password":"password","password":"password"}"#.to_vec(),
        ),
        ("", br#"{"email":"test@example.com","password":"a-very-secret-pass-phrase"} x"#.to_vec()),
        ("", [&b"\xEF\xBB\xBF"[..], br#"{"email":"test@example.com","password":"password"}"#].concat()),
        ("", b"{\"email\":\"test@example.com\",\"password\":\"\xFF\xFE\"}".to_vec()),
        ("", [vec![b'['; 5_000], vec![b']'; 5_000]].concat()),
    ];
    for (what, body) in cases {
        let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        let answer = world.auth().post("/login").body("application/json", body).await;
        assert!(!answer.text().contains(secret), "{shown}: {answer:?}");
        answer.is_invalid_request(what);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_lower_parameters_than_ours_is_replaced_at_the_next_login() {
    // Made by argon2-cffi 25.1: `hash_secret(b"password", b"saltsaltsaltsalt", 1, 8192, 1, 32, Type.ID)`.
    let lower =
        "$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$gr2igq8kIMaGG2q4HuAOXTQvjon0oR+6cq80E334fGQ";
    let world = World::new().await;
    let before = world.login().await;
    let database = Connection::open(world.path("auth.db")).unwrap();
    let changed =
        database.execute("UPDATE accounts SET password_hash = ?1 WHERE email = ?2", [lower, ADMIN.0]);
    assert_eq!(changed, Ok(1));
    let hash = || -> String {
        let hash = "SELECT password_hash FROM accounts WHERE email = ?1";
        database.query_row(hash, [ADMIN.0], |row| row.get(0)).unwrap()
    };
    world.try_login((ADMIN.0, "a wrong pass phrase")).await.is(401);
    assert_eq!(hash(), lower, "a wrong password proves nothing");
    world.login().await;
    let raised = hash();
    assert!(raised.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{raised}");
    world.login().await;
    assert_eq!(hash(), raised, "once is enough");
    world.refresh(&before.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_is_asked_to_come_back_and_harms_nobody_else() {
    let world = World::with(&[("AUTH_HASH_SLOTS", "1"), ("AUTH_HASH_QUEUE", "1")]).await;
    let token = world.login().await.access;
    let flood = (0..64).map(|_| {
        let ask = world.auth().post("/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
        tokio::spawn(ask.into_future())
    });
    let flood: Vec<_> = flood.collect();
    world.auth().get("/me").bearer(&token).await.is(200);
    let mut statuses = [0, 0];
    for answer in flood {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            statuses[0] += 1;
        } else {
            answer.is_unavailable();
            statuses[1] += 1;
        }
    }
    assert!(statuses.iter().all(|&count| count > 0), "200 and 503: {statuses:?}");
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_no_places_is_a_setting_that_works() {
    let world = World::with(&[("AUTH_HASH_SLOTS", "1"), ("AUTH_HASH_QUEUE", "0")]).await;
    let body: Value = world.login().await.answer;
    assert_eq!(body["expires_in"], json!(900));
    world.stop().await;
}
