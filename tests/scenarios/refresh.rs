//! `POST /refresh`: exchanges a refresh token for its single successor.

use std::{collections::BTreeSet, future::IntoFuture as _, time::Duration};

use serde_json::json;
use tests::{
    Answer, World,
    world::{AUDIENCE, ISSUER, Tokens},
};

const DAY: Duration = Duration::from_hours(24);

#[track_caller]
fn refused(answer: &Answer) {
    answer.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_may_come_as_bearer_or_as_json() {
    let world = World::new().await;
    let first = world.login().await;
    let by_header = world.try_refresh(&first.refresh).await;
    assert_eq!(by_header.header("cache-control"), Some("no-store"));
    let second = Tokens::of(&by_header);
    let by_body = world.auth().post("/refresh").json(&json!({"refresh_token": second.refresh})).await;
    assert_eq!(by_body.header("cache-control"), Some("no-store"));
    let third = Tokens::of(&by_body);
    assert_eq!(
        third.answer.as_object().unwrap().keys().collect::<Vec<_>>(),
        first.answer.as_object().unwrap().keys().collect::<Vec<_>>()
    );
    let all = BTreeSet::from([&first.refresh, &second.refresh, &third.refresh]);
    assert_eq!(all.len(), 3, "each has a successor of its own");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_shows_exactly_one_refresh_token() {
    let world = World::new().await;
    let token = world.login().await.refresh;
    let msg = "The request has more than one access token; send exactly one";
    let several = |answer: Answer| answer.challenges(ISSUER, 400, "invalid_request", msg, &[]);
    let body = json!({"refresh_token": token});
    several(world.auth().post("/refresh").bearer(&token).json(&body).await);
    several(world.auth().post("/refresh").bearer(&token).bearer(&token).await);

    world.auth().post("/refresh").await.misses_a_token(ISSUER);
    let basic = world.auth().post("/refresh").header("authorization", "Basic eDp5").await;
    basic.misses_a_token(ISSUER);

    let post = |body: &'static str| world.auth().post("/refresh").body("application/json", body);
    post("{}").await.is_invalid_request("missing field `refresh_token`");
    post(r#"{"refresh_token":1}"#).await.is_invalid_request("");
    post(r#"{"refresh_token":"rt_","scope":"admin"}"#).await.is_invalid_request("unknown field `scope`");
    post(r#"["rt_"]"#).await.is_invalid_request("must be an object");
    post("x").await.is_invalid_request("not valid JSON");
    let form =
        world.auth().post("/refresh").body("application/x-www-form-urlencoded", "refresh_token=x").await;
    form.refuses(400, "invalid_request", "Missing JSON in request");
    // None of these requests has spent the token.
    world.refresh(&token).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_access_token_is_short_and_not_fresh_and_remembers_the_login() {
    let world = World::new().await;
    let login = world.login().await;
    world.pass(Duration::from_secs(1_234));
    let tokens = world.refresh(&login.refresh).await;
    assert_eq!(tokens.answer["expires_in"], json!(300));
    assert_eq!(tokens.answer["scope"], login.answer["scope"]);
    assert_eq!(tokens.answer["refresh_expires_in"], json!(30 * 24 * 3_600), "idle time starts anew");
    let (before, after) = (login.claims(), tokens.claims());
    for same in ["iss", "sub", "aud", "client_id", "scope", "roles", "email", "sid", "auth_time", "amr"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_eq!((&before["fresh"], &after["fresh"]), (&json!(true), &json!(false)));
    assert_eq!(after["iat"].as_i64().unwrap(), before["iat"].as_i64().unwrap() + 1_234);
    assert_eq!(after["exp"].as_i64().unwrap(), after["iat"].as_i64().unwrap() + 300);
    assert_ne!(before["jti"], after["jti"]);
    world.protected(&tokens.access).await.is(200);
    world.pass(Duration::from_mins(5));
    let answer = world.protected(&tokens.access).await;
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lifetime_of_a_refreshed_access_token_is_a_setting() {
    let world = World::with(&[("AUTH_REFRESHED_ACCESS_TTL", "90s")]).await;
    let tokens = world.refresh(&world.login().await.refresh).await;
    assert_eq!(tokens.answer["expires_in"], json!(90));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_the_answer_gets_the_same_successor_again() {
    let world = World::new().await;
    let first = world.login().await.refresh;
    let second = world.refresh(&first).await;
    for _ in 0..3 {
        world.pass(Duration::from_secs(3));
        let again = world.refresh(&first).await;
        assert_eq!(again.refresh, second.refresh, "never a fork");
        assert_eq!(again.claims()["fresh"], json!(false));
        assert_ne!(again.claims()["jti"], second.claims()["jti"]);
    }
    // Nine seconds have passed since the rotation. The retry has not moved the end of the window.
    world.pass(Duration::from_millis(1_001));
    refused(&world.try_refresh(&first).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_window_is_a_setting_and_may_be_nothing() {
    let world = World::with(&[("AUTH_REFRESH_GRACE", "0s")]).await;
    let first = world.login().await.refresh;
    world.refresh(&first).await;
    world.pass(Duration::from_millis(1));
    refused(&world.try_refresh(&first).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_generation_is_refused_even_within_the_window() {
    let world = World::new().await;
    let first = world.login().await.refresh;
    let second = world.refresh(&first).await.refresh;
    let third = world.refresh(&second).await.refresh;
    assert_eq!(world.refresh(&second).await.refresh, third, "the immediate predecessor is answered");
    refused(&world.try_refresh(&first).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_by_more_than_a_minute_closes_the_window() {
    let world = World::new().await;
    let first = world.login().await.refresh;
    world.pass(Duration::from_mins(10));
    let rotated_at = countermark::clock::Clock::now(&world.clock);
    let second = world.refresh(&first).await.refresh;
    world.clock.set(rotated_at.before(Duration::from_secs(59)));
    assert_eq!(world.refresh(&first).await.refresh, second);
    world.clock.set(rotated_at.before(Duration::from_secs(61)));
    refused(&world.try_refresh(&first).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_uses_ends() {
    let world = World::new().await;
    let (kept, left) = (world.login().await.refresh, world.login().await.refresh);
    world.pass(30 * DAY - Duration::from_millis(1));
    let kept = world.refresh(&kept).await.refresh;
    world.pass(Duration::from_millis(1));
    refused(&world.try_refresh(&left).await);
    world.refresh(&kept).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_ninety_days_after_its_login_whatever_is_done_in_it() {
    let world = World::new().await;
    let mut tokens = world.login().await;
    for (days, left) in [(29, 30), (29, 30), (29, 3), (2, 1)] {
        world.pass(days * DAY);
        tokens = world.refresh(&tokens.refresh).await;
        assert_eq!(tokens.answer["refresh_expires_in"], json!(left * 24 * 3_600), "the nearer end");
    }
    world.pass(DAY - Duration::from_secs(1));
    let tokens = world.refresh(&tokens.refresh).await;
    assert_eq!(tokens.answer["refresh_expires_in"], json!(1));
    world.pass(Duration::from_secs(1));
    refused(&world.try_refresh(&tokens.refresh).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_access_token_outlives_its_session() {
    let world = World::with(&[("AUTH_SESSION_TTL", "1h")]).await;
    let login = world.login().await;
    world.pass(Duration::from_mins(58));
    let tokens = world.refresh(&login.refresh).await;
    assert_eq!(
        (&tokens.answer["expires_in"], &tokens.answer["refresh_expires_in"]),
        (&json!(120), &json!(120))
    );
    assert_eq!(tokens.claims()["exp"], json!(login.claims()["iat"].as_i64().unwrap() + 3_600));
    world.pass(Duration::from_mins(2));
    let answer = world.protected(&tokens.access).await;
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token has expired", &[]);
    refused(&world.try_refresh(&tokens.refresh).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_live_refresh_token_is_refused_in_one_way() {
    let (world, other) = (World::new().await, World::with(&[]).await);
    let tokens = world.login().await;
    let good = tokens.refresh.as_str();
    let foreign = other.login().await.refresh;
    let body = good.strip_prefix("rt_").unwrap();
    let flipped = |position: usize| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut garbage = vec![
        tokens.access.clone(),
        foreign,
        String::new(),
        "rt_".into(),
        "rt_AAAA".into(),
        "garbage".into(),
        body.into(),
        format!("RT_{body}"),
        format!("rt_rt_{body}"),
        format!("{good}="),
        format!("{good}A"),
        format!("{good}.{good}"),
        good[..good.len() - 1].into(),
        good[..good.len() - 4].into(),
        format!("rt_{}", "A".repeat(body.len())),
        format!("rt_{}", "_".repeat(body.len())),
        format!("rt_{}", "A".repeat(12_000)),
        "rt_' OR 1=1 --".into(),
    ];
    garbage.extend((3..good.len()).map(flipped));
    for token in garbage {
        refused(&world.try_refresh(&token).await);
        refused(&world.auth().post("/refresh").json(&json!({"refresh_token": token})).await);
    }
    for token in ["rt_ä\0\r\n\u{1F600}".to_owned(), format!("{good}\n"), format!(" {good}")] {
        refused(&world.auth().post("/refresh").json(&json!({"refresh_token": token})).await);
    }
    world.refresh(good).await;
    world.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_end_with_one_successor() {
    let world = World::new().await;
    let first = world.login().await.refresh;
    let at_once: Vec<_> =
        (0..64).map(|_| tokio::spawn(world.auth().post("/refresh").bearer(&first).into_future())).collect();
    let mut successors = BTreeSet::new();
    let mut token_ids = BTreeSet::new();
    for answer in at_once {
        let tokens = Tokens::of(&answer.await.unwrap());
        token_ids.insert(tokens.claims()["jti"].to_string());
        successors.insert(tokens.refresh);
    }
    assert_eq!((successors.len(), token_ids.len()), (1, 64));
    let successor = successors.pop_first().unwrap();
    let third = world.refresh(&successor).await.refresh;
    world.refresh(&third).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_account_are_apart() {
    let world = World::new().await;
    let (one, other) = (world.login().await, world.login().await);
    assert_ne!(one.claims()["sid"], other.claims()["sid"]);
    let one = world.refresh(&one.refresh).await;
    world.pass(Duration::from_mins(1));
    let other = world.refresh(&other.refresh).await;
    assert_ne!(one.claims()["sid"], other.claims()["sid"]);
    world.stop().await;
}
