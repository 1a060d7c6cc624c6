//! The routes for a session after the login: `POST /logout`, `POST /logout-all`, `GET /sessions`,
//! `DELETE /sessions/{id}`, `POST /password`.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    Answer, World,
    world::{ADMIN, BILLING, ISSUER, PLAIN, Tokens},
};

#[track_caller]
fn revoked(answer: &Answer) {
    answer.challenges(ISSUER, 401, "invalid_token", "The token has been revoked", &[]);
}

#[track_caller]
fn spent(answer: &Answer) {
    answer.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
}

async fn is_active(world: &World, token: &str) -> bool {
    world.grpc().basic(BILLING.0, BILLING.1).introspect(token).await.unwrap().active
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_session_and_its_access_tokens_at_once() {
    let world = World::new().await;
    let (tokens, other) = (world.login().await, world.login().await);
    assert!(is_active(&world, &tokens.access).await);
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    assert!(!is_active(&world, &tokens.access).await, "introspection knows at once");
    revoked(&world.auth().get("/me").bearer(&tokens.access).await);
    spent(&world.try_refresh(&tokens.refresh).await);
    world.auth().get("/me").bearer(&other.access).await.is(200);
    world.refresh(&other.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_access_token_can_still_log_out() {
    let world = World::new().await;
    let tokens = world.login().await;
    world.pass(Duration::from_hours(1));
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    spent(&world.try_refresh(&tokens.refresh).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_generation_of_a_refresh_token_can_log_out_as_bearer_or_as_json() {
    let world = World::new().await;
    let first = world.login().await;
    let second = world.refresh(&first.refresh).await;
    let third = world.refresh(&second.refresh).await;
    world.pass(Duration::from_mins(1));
    world.auth().post("/logout").json(&json!({"refresh_token": first.refresh})).await.is(200);
    spent(&world.try_refresh(&third.refresh).await);
    revoked(&world.auth().get("/me").bearer(&third.access).await);
    world.auth().post("/logout").bearer(&second.refresh).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_over_already_can_be_logged_out_again() {
    let world = World::new().await;
    let tokens = world.login().await;
    for token in [&tokens.access, &tokens.refresh, &tokens.access] {
        world.auth().post("/logout").bearer(token).await.is(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_logs_out_with_garbage_or_with_nothing() {
    let world = World::new().await;
    let tokens = world.login().await;
    world.auth().post("/logout").await.misses_a_token(ISSUER);
    let garbage = world.auth().post("/logout").bearer("x.y.z").await;
    garbage.challenges(ISSUER, 401, "invalid_token", "The token is invalid", &[]);
    spent(&world.auth().post("/logout").bearer(format!("rt_{}", "A".repeat(72))).await);
    world.auth().get("/me").bearer(&tokens.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_all_ends_every_session_of_the_account_and_no_other() {
    let world = World::new().await;
    let (one, two, other) = (world.login().await, world.login().await, world.login_as(PLAIN).await);
    world.auth().post("/logout-all").bearer(&one.access).await.is(200);
    for tokens in [&one, &two] {
        revoked(&world.auth().get("/me").bearer(&tokens.access).await);
        spent(&world.try_refresh(&tokens.refresh).await);
    }
    world.auth().get("/me").bearer(&other.access).await.is(200);
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_its_own_sessions_and_ends_them_one_by_one() {
    let world = World::new().await;
    let login = |agent: &'static str, (email, password): (&str, &str)| {
        let body = json!({"email": email, "password": password});
        world.auth().post("/login").header("user-agent", agent).json(&body)
    };
    let phone = Tokens::of(&login("phone", ADMIN).await);
    world.pass(Duration::from_secs(60));
    let laptop = Tokens::of(&login("laptop", ADMIN).await);
    let foreign = Tokens::of(&login("foreign", PLAIN).await);

    let answer = world.auth().get("/sessions").bearer(&laptop.access).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let sessions = answer.is(200)["sessions"].as_array().unwrap().clone();
    let column = |name: &str| sessions.iter().map(|session| session[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("device"), [json!("phone"), json!("laptop")]);
    assert_eq!(column("address"), [json!("127.0.0.1"), json!("127.0.0.1")]);
    assert_eq!(column("current"), [json!(false), json!(true)]);
    assert_eq!(column("created_at"), [json!("2027-01-15T08:00:00Z"), json!("2027-01-15T08:01:00Z")]);
    assert_eq!(column("last_used_at"), column("created_at"));
    assert_eq!(column("id"), [phone.claims()["sid"].clone(), laptop.claims()["sid"].clone()]);

    let delete = |id: &Value| {
        let path = format!("/sessions/{}", id.as_str().unwrap());
        world.auth().delete(&path).bearer(&laptop.access)
    };
    delete(&foreign.claims()["sid"]).await.refuses(404, "not_found", "There is no such session");
    delete(&json!("nobody")).await.refuses(404, "not_found", "There is no such session");
    assert_eq!(delete(&phone.claims()["sid"]).await.status, 204);
    delete(&phone.claims()["sid"]).await.refuses(404, "not_found", "There is no such session");
    revoked(&world.auth().get("/me").bearer(&phone.access).await);
    world.auth().get("/me").bearer(&foreign.access).await.is(200);
    let left = world.auth().get("/sessions").bearer(&laptop.access).await.is(200);
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_sessions_and_spares_this_one() {
    let world = World::new().await;
    let (this, other) = (world.login().await, world.login().await);
    let change = |token: &str, current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        world.auth().post("/password").bearer(token).json(&body)
    };
    change(&this.access, "wrong password", "a new pass phrase").await.refuses(
        401,
        "bad_credentials",
        "Bad email or password",
    );
    change(&this.access, ADMIN.1, "short").await.is_invalid_request("8 to 1024 bytes");
    world.auth().get("/me").bearer(&other.access).await.is(200);

    assert_eq!(change(&this.access, ADMIN.1, "a new pass phrase").await.status, 204);
    revoked(&world.auth().get("/me").bearer(&other.access).await);
    spent(&world.try_refresh(&other.refresh).await);
    world.auth().get("/me").bearer(&this.access).await.is(200);
    let refreshed = world.refresh(&this.refresh).await;

    let stale = change(&refreshed.access, "a new pass phrase", "another pass phrase").await;
    let msg = "A more recent login is required";
    stale.challenges(ISSUER, 401, "insufficient_user_authentication", msg, &[("max_age", "0")]);
    world.try_login(ADMIN).await.refuses(401, "bad_credentials", "Bad email or password");
    world.try_login((ADMIN.0, "a new pass phrase")).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_outlives_a_restart() {
    let mut world = World::new().await;
    let tokens = world.login().await;
    world.auth().post("/logout").bearer(&tokens.access).await.is(200);
    world.restart().await;
    revoked(&world.auth().get("/me").bearer(&tokens.access).await);
    assert!(!is_active(&world, &tokens.access).await);
    spent(&world.try_refresh(&tokens.refresh).await);
    world.stop().await;
}
