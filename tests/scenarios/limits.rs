//! Limits on login attempts. They apply before any hashing, to known and unknown accounts alike.

use std::time::Duration;

use countermark_service::database::rusqlite::Connection;
use serde_json::json;
use tests::{
    Answer, World,
    world::{ADMIN, PLAIN},
};

#[track_caller]
fn limited(answer: &Answer, retry_after: &str) {
    answer.refuses(429, "too_many_requests", "Too many tries; wait a little");
    assert_eq!(answer.header("retry-after"), Some(retry_after));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_closed_after_its_failures_whether_it_exists_or_not() {
    let world = World::with(&[("AUTH_LOGIN_LIMITS", "account=3/min,address=off")]).await;
    for email in [ADMIN.0, "nobody@example.com", "no address"] {
        for _ in 0..3 {
            world.try_login((email, "wrong password")).await.refuses(
                401,
                "bad_credentials",
                "Bad email or password",
            );
        }
        limited(&world.try_login((email, "wrong password")).await, "20");
    }
    // The right password is not checked, and another spelling is the same account. Another account is not limited.
    limited(&world.try_login(ADMIN).await, "20");
    limited(&world.try_login((" Test@EXAMPLE.com", ADMIN.1)).await, "20");
    world.try_login(PLAIN).await.is(200);
    world.pass(Duration::from_secs(20));
    world.try_login(ADMIN).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_accounts_live_sessions_go_on() {
    let world = World::with(&[("AUTH_LOGIN_LIMITS", "account=2/hour,address=off")]).await;
    let (session, other) = (world.login().await, world.login().await);
    for _ in 0..2 {
        world.try_login((ADMIN.0, "wrong password")).await.is(401);
    }
    limited(&world.try_login(ADMIN).await, "1800");
    // The session stays valid while the account is locked.
    let mut current = session;
    for _ in 0..3 {
        current = world.refresh(&current.refresh).await;
        world.auth().get("/me").bearer(&current.access).await.is(200);
        world.protected(&current.access).await.is(200);
        assert!(world.introspect(&current.access).await.active);
        world.pass(Duration::from_mins(4));
    }
    limited(&world.try_login(ADMIN).await, "1080");
    let sessions = world.auth().get("/sessions").bearer(&other.access).await.is(200);
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(2), "{sessions}");
    world.auth().post("/logout").bearer(&other.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_outlive_a_restart_and_so_does_when_to_come_back() {
    let settings = [
        ("AUTH_LOGIN_LIMITS", "account=2/hour,address=4/hour,global=6/hour"),
        ("AUTH_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let mut world = World::with(&settings).await;
    let from = |world: &World, address: &'static str, (email, password): (&str, &str)| {
        let body = json!({"email": email, "password": password});
        world.auth().post("/login").header("x-forwarded-for", address).json(&body)
    };
    let wrong = (ADMIN.0, "wrong password");
    for _ in 0..2 {
        from(&world, "203.0.113.1", wrong).await.is(401);
        from(&world, "203.0.113.2", PLAIN).await.is(200);
        from(&world, "203.0.113.2", PLAIN).await.is(200);
    }
    // First the account is limited from every address, then the address for every account, then everything.
    let closed = async |world: &World, after: [&str; 3]| {
        limited(&from(world, "203.0.113.3", ADMIN).await, after[0]);
        limited(&from(world, "203.0.113.2", PLAIN).await, after[1]);
        limited(&from(world, "203.0.113.4", PLAIN).await, after[2]);
    };
    closed(&world, ["1800", "900", "600"]).await;
    world.restart().await;
    closed(&world, ["1800", "900", "600"]).await;
    world.crash_auth().await;
    world.start_auth().await.unwrap();
    closed(&world, ["1800", "900", "600"]).await;
    world.pass(Duration::from_secs(500));
    world.restart().await;
    limited(&from(&world, "203.0.113.3", ADMIN).await, "1300");
    world.pass(Duration::from_secs(1_300));
    world.restart().await;
    from(&world, "203.0.113.3", ADMIN).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_succeed_count_against_no_account() {
    let world = World::with(&[("AUTH_LOGIN_LIMITS", "account=2/min,address=off")]).await;
    for _ in 0..6 {
        world.login().await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_try_so_often_and_an_ipv6_address_is_its_64() {
    let settings =
        [("AUTH_LOGIN_LIMITS", "account=off,address=2/min"), ("AUTH_TRUSTED_PROXIES", "127.0.0.0/8")];
    let world = World::with(&settings).await;
    let from = |address: &'static str| {
        let body = json!({"email": ADMIN.0, "password": ADMIN.1});
        world.auth().post("/login").header("x-forwarded-for", address).json(&body)
    };
    from("203.0.113.1").await.is(200);
    from("203.0.113.1").await.is(200);
    limited(&from("203.0.113.1").await, "30");
    from("203.0.113.2").await.is(200);
    from("2001:db8:0:1::1").await.is(200);
    from("2001:db8:0:1::2").await.is(200);
    limited(&from("2001:db8:0:1:ffff::3").await, "30");
    from("2001:db8:0:2::1").await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_together_may_try_so_often() {
    let limits = "account=off,address=off,global=2/hour";
    let world = World::with(&[("AUTH_LOGIN_LIMITS", limits), ("AUTH_REGISTRATION", "open")]).await;
    world.login().await;
    let body = json!({"email": "new@example.com", "password": "a long password"});
    world.auth().post("/register").json(&body).await.is(201);
    limited(&world.try_login(PLAIN).await, "1800");
    limited(&world.auth().post("/register").json(&body).await, "1800");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_at_once_do_not_slip_through_together() {
    let settings = [("AUTH_LOGIN_LIMITS", "account=5/min,address=off"), ("AUTH_HASH_QUEUE", "1000")];
    let world = World::with(&settings).await;
    let tries = (0..40).map(|_| {
        let body = json!({"email": ADMIN.0, "password": "wrong password"});
        tokio::spawn(std::future::IntoFuture::into_future(world.auth().post("/login").json(&body)))
    });
    let mut looked_at = 0;
    for answer in tries.collect::<Vec<_>>() {
        match answer.await.unwrap().status {
            401 => looked_at += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert_eq!(looked_at, 5);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_over_the_limit_costs_no_hash() {
    // One slot and no queue: a request that needed a hash would sometimes be answered with 503.
    let settings = [
        ("AUTH_LOGIN_LIMITS", "account=1/hour,address=2/hour"),
        ("AUTH_HASH_SLOTS", "1"),
        ("AUTH_HASH_QUEUE", "0"),
        ("AUTH_REGISTRATION", "open"),
    ];
    let world = World::with(&settings).await;
    world.try_login((ADMIN.0, "wrong password")).await.is(401);
    world.try_login((PLAIN.0, "wrong password")).await.is(401);
    let tries = (0..64).map(|number| {
        let path = ["/login", "/register"][number % 2];
        let body = json!({"email": ADMIN.0, "password": ADMIN.1});
        tokio::spawn(std::future::IntoFuture::into_future(world.auth().post(path).json(&body)))
    });
    for answer in tries.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap().status, 429);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_tries_is_one_small_row_for_each_account_and_address() {
    let world = World::with(&[("AUTH_LOGIN_LIMITS", "account=10/min,address=1000/min")]).await;
    let long = format!("{}@example.com", "x".repeat(9_000));
    for email in [ADMIN.0, "TEST@example.com", " test@example.com", "nobody@example.com", &long] {
        for _ in 0..3 {
            world.try_login((email, "wrong password")).await.is(401);
        }
    }
    let database = Connection::open(world.path("auth.db")).unwrap();
    let kept = "SELECT count(*), max(length(who)) FROM login_tries";
    let (rows, longest): (i64, i64) =
        database.query_row(kept, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    // Three accounts, known or not, and one address.
    assert_eq!(rows, 4);
    assert!(longest <= 32, "{longest} bytes");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_current_password_counts_too() {
    let world = World::with(&[("AUTH_LOGIN_LIMITS", "account=2/min,address=off")]).await;
    let tokens = world.login().await;
    let body = json!({"current_password": "wrong password", "new_password": "a new pass phrase"});
    for _ in 0..2 {
        let answer = world.auth().post("/password").bearer(&tokens.access).json(&body).await;
        answer.refuses(401, "bad_credentials", "Bad email or password");
    }
    limited(&world.auth().post("/password").bearer(&tokens.access).json(&body).await, "30");
    limited(&world.try_login(ADMIN).await, "30");
    world.stop().await;
}
