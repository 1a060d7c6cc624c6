//! Two at once: each operation that reads, decides and writes meets another one that changes what it has read.

use std::{future::IntoFuture as _, sync::Arc, time::Duration};

use serde_json::json;
use tests::{
    Answer, World,
    effort::effort,
    operator::{json_of, world_of_today},
    world::{ADMIN, PLAIN, Tokens},
};
use tokio::task::JoinSet;

const NO_LIMITS: &[(&str, &str)] = &[("AUTH_LOGIN_LIMITS", "off"), ("AUTH_HASH_QUEUE", "200")];

/// What an owner sends to change the password.
fn change(
    world: &World,
    token: &str,
    current: &str,
    new: &str,
) -> impl Future<Output = Answer> + Send + use<> {
    let body = json!({"current_password": current, "new_password": new});
    world.auth().post("/password").bearer(token).json(&body).into_future()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_an_operator_sets_is_not_undone_by_a_thief_who_knows_the_old_one() {
    let world = World::with(NO_LIMITS).await;
    let operator = world.operator().await;
    let mut known = ADMIN.1.to_owned();
    for round in 0..effort(10, 100, 1_000) {
        let mut thieves = Vec::new();
        for _ in 0..8 {
            thieves.push(Tokens::of(&world.try_login((ADMIN.0, &known)).await));
        }
        let tries: JoinSet<Answer> = thieves
            .iter()
            .enumerate()
            .map(|(thief, tokens)| {
                change(&world, &tokens.access, &known, &format!("thief {thief} in round {round}"))
            })
            .collect();
        let account = operator.account_named(ADMIN.0).unwrap().unwrap();
        let set = format!("set by the operator in round {round}");
        operator.set_password(account.id, set.clone().into()).await.unwrap();
        for answer in tries.join_all().await {
            assert!([204, 401].contains(&answer.status), "{answer:?}");
        }
        assert_eq!(world.try_login((ADMIN.0, &set)).await.status, 200, "round {round}: the thief undid it");
        for tokens in &thieves {
            assert_eq!(world.try_refresh(&tokens.refresh).await.status, 401, "round {round}");
        }
        known = set;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_owners_who_change_the_password_at_once_one_succeeds_and_the_others_are_refused() {
    let world = World::with(NO_LIMITS).await;
    let mut current = ADMIN.1.to_owned();
    for round in 0..effort(5, 20, 100) {
        let mut owners = Vec::new();
        for _ in 0..3 {
            owners.push(Tokens::of(&world.try_login((ADMIN.0, &current)).await));
        }
        // The last two use one session.
        owners.push(owners[2].clone());
        let new = |owner: usize| format!("of owner {owner} in round {round}");
        let mut tries = JoinSet::new();
        for (owner, tokens) in owners.iter().enumerate() {
            let asked = change(&world, &tokens.access, &current, &new(owner));
            tries.spawn(async move { (owner, asked.await) });
        }
        let answers = tries.join_all().await;
        let winners: Vec<_> = answers.iter().filter(|(_, answer)| answer.status == 204).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        for (owner, answer) in answers.iter().filter(|(_, answer)| answer.status != 204) {
            let error = answer.is(401)["error"].clone();
            assert!(error == "invalid_token" || error == "bad_credentials", "owner {owner}: {answer:?}");
        }
        current = new(winners[0].0);
        world.try_login((ADMIN.0, &current)).await.is(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_that_is_under_way_while_its_account_is_disabled_changes_nothing() {
    let world = world_of_today(&[("AUTH_HASH_SLOTS", "1"), NO_LIMITS[0], NO_LIMITS[1]]).await;
    let tokens = world.login().await;
    // The tries wait for the one slot, so the last one is hashed long after its account was looked up.
    let mut waiting = JoinSet::new();
    for _ in 0..40 {
        waiting.spawn(change(&world, &tokens.access, "a wrong pass phrase", "whatever it may be"));
    }
    waiting.spawn(change(&world, &tokens.access, ADMIN.1, "a new pass phrase"));
    json_of(&world, &["user", "disable", ADMIN.0]).await;
    let answers = waiting.join_all().await;
    let changed = answers.iter().any(|answer| answer.status == 204);
    json_of(&world, &["user", "enable", ADMIN.0]).await;
    // If the change was faster than the operator, it holds.
    let password = if changed { "a new pass phrase" } else { ADMIN.1 };
    world.try_login((ADMIN.0, password)).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_another_one() {
    let world = World::new().await;
    let (this, other) = (world.login_as(PLAIN).await, world.login_as(PLAIN).await);
    change(&world, &this.access, PLAIN.1, PLAIN.1).await.is_invalid_request("choose another");
    // Who doesn't know the current password learns nothing of it.
    change(&world, &this.access, "a wrong pass phrase", "a wrong pass phrase").await.refuses(
        401,
        "bad_credentials",
        "Bad email or password",
    );
    world.auth().get("/me").bearer(&other.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_keeps_a_role_that_was_taken_away_however_operators_and_refreshes_meet() {
    let world = World::new().await;
    let operator = world.operator().await;
    let id = operator.account_named(ADMIN.0).unwrap().unwrap().id;
    let admin: Vec<auth_service::domain::account::Role> = vec!["admin".parse().unwrap()];
    for _ in 0..effort(5, 20, 200) {
        let mut setting = JoinSet::new();
        for turn in 0..8 {
            let (operator, roles) =
                (Arc::clone(&operator), if turn % 2 == 0 { admin.clone() } else { Vec::new() });
            setting.spawn(async move { operator.set_roles(id, roles).await.map(drop) });
        }
        let mut tokens = vec![world.login().await];
        for _ in 0..4 {
            let last = tokens.last().unwrap().refresh.clone();
            tokens.push(world.refresh(&last).await);
        }
        for set in setting.join_all().await {
            set.unwrap();
        }
        operator.set_roles(id, Vec::new()).await.unwrap();
        let me = |tokens: &Tokens| world.auth().get("/me").bearer(&tokens.access);
        tests::until("the revocation is everywhere", async || {
            let mut is_refused = true;
            for token in tokens.iter().filter(|token| token.claims()["roles"] == json!(["admin"])) {
                is_refused &= me(token).await.status == 401;
            }
            is_refused.then_some(())
        })
        .await;
        operator.set_roles(id, admin.clone()).await.unwrap();
        world.pass(Duration::from_secs(2));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refresh_that_is_under_way_outlives_a_logout_from_all() {
    let world = World::with(NO_LIMITS).await;
    for round in 0..effort(10, 50, 500) {
        let mut sessions = Vec::new();
        for _ in 0..4 {
            sessions.push(world.login().await);
        }
        let mut refreshing = JoinSet::new();
        for tokens in &sessions {
            // Twice: the second one is a rotation's repeat.
            for _ in 0..2 {
                refreshing.spawn(world.auth().post("/refresh").bearer(&tokens.refresh).into_future());
            }
        }
        let ending = world.login().await;
        world.auth().post("/logout-all").bearer(&ending.access).await.is(200);
        for answer in refreshing.join_all().await {
            if answer.status != 200 {
                answer.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
                continue;
            }
            let got = Tokens::of(&answer);
            assert_eq!(world.auth().get("/me").bearer(&got.access).await.status, 401, "round {round}");
            assert!(!world.introspect(&got.access).await.active, "round {round}");
            assert_eq!(world.try_refresh(&got.refresh).await.status, 401, "round {round}");
        }
        world.pass(Duration::from_secs(2));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_beside_a_logout_from_all_begins_a_whole_session_or_is_ended_whole() {
    let world = World::with(NO_LIMITS).await;
    let (mut live, mut over) = (0, 0);
    for round in 0..effort(15, 100, 1_000) {
        let ending = world.login().await;
        let mut logins = JoinSet::new();
        for _ in 0..6 {
            let body = json!({"email": ADMIN.0, "password": ADMIN.1});
            logins.spawn(world.auth().post("/login").json(&body).into_future());
        }
        // It comes while some of them are hashed, and some are stored.
        let first = logins.join_next().await.unwrap().unwrap();
        world.auth().post("/logout-all").bearer(&ending.access).await.is(200);
        for answer in logins.join_all().await.iter().chain([&first]) {
            let got = Tokens::of(answer);
            let access = world.auth().get("/me").bearer(&got.access).await.status;
            let refresh = world.try_refresh(&got.refresh).await.status;
            assert_eq!(access, refresh, "round {round}: the access token, the refresh token");
            if access == 200 { live += 1 } else { over += 1 }
        }
        world.pass(Duration::from_secs(2));
    }
    assert!(live > 0 && over > 0, "{live} {over}: they met");
    world.stop().await;
}
