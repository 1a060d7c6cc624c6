//! The issuer's clock is set back by more than its verifiers tolerate, as when a clock was ahead by mistake. A
//! revocation after that also covers the tokens minted while the clock was ahead, and it still holds when that time
//! comes again.

use std::time::Duration;

use auth_service::{domain::account::Role, ops::AuthService};
use countermark::clock::{Clock as _, Timestamp};
use countermark_proto::auth_v1::entry::Matches;
use countermark_service::database::rusqlite::Connection;
use tests::{
    World, until,
    watcher::{Watcher, hello},
    world::{ADMIN, BILLING, RESOURCE, Tokens},
};

/// Distance by which the clock is set back.
const BACK: Duration = Duration::from_mins(10);

/// Lifetime of a login's access token.
const LIFE: Duration = Duration::from_mins(15);

fn set_back(world: &World) {
    world.clock.set(world.clock.now().before(BACK));
}

fn expiry(tokens: &Tokens) -> i64 {
    tokens.claims()["exp"].as_i64().unwrap()
}

async fn form_introspects(world: &World, token: &str) -> bool {
    let answer = world.auth().post("/oauth/introspect").basic(BILLING).form(&[("token", token)]).await;
    answer.is(200)["active"] == true
}

async fn is_active(world: &World, token: &str) -> bool {
    let active = world.introspect(token).await.active;
    assert_eq!(form_introspects(world, token).await, active, "both interfaces agree");
    active
}

/// Waits until the resource server has received every revocation so far over its stream.
async fn is_notified(world: &World) {
    let head: i64 = {
        let database =
            countermark_service::database::rusqlite::Connection::open(world.path("auth.db")).unwrap();
        database.query_row("SELECT head FROM revocation_log", [], |row| row.get(0)).unwrap()
    };
    until("the resource server has received it", async || {
        let standing = world.resource_ops().get("/health/ready").await.is(200);
        (standing["revocations"]["sequence"] == head).then_some(())
    })
    .await;
}

/// Checks that every place refuses the token: now, when the time of its minting comes again, and until it expires.
async fn is_refused_for_good(world: &World, token: &str, expires_at: i64) {
    is_notified(world).await;
    let mut looks = 0;
    while world.clock.now() < Timestamp::from_unix_seconds(expires_at) {
        assert!(!is_active(world, token).await, "introspected at {}", world.clock.now());
        world.auth().get("/me").bearer(token).await.is(401);
        world.protected(token).await.is(401);
        world.pass(Duration::from_mins(1));
        looks += 1;
    }
    assert!(looks > 20, "{looks} looks");
}

/// Checks that every place accepts the token.
async fn is_accepted(world: &World, token: &str) {
    assert!(is_active(world, token).await);
    world.protected(token).await.is(200);
}

async fn service_token(world: &World) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "documents:read")];
    let answer = world.auth().post("/oauth/token").basic(RESOURCE).form(&form).await.is(200);
    answer["access_token"].as_str().unwrap().to_owned()
}

/// What an operator sets.
const NEW_PASSWORD: &str = "ostrich velcro tangent";

/// Logs in, sets the clock back, runs `act`, then logs in again. The last login must be accepted at once.
async fn scenario(act: impl AsyncFnOnce(&World, &AuthService, &Tokens, &Tokens)) {
    let world = World::new().await;
    let operator = world.operator().await;
    // Two logins. A token from the future is not accepted for `act`, so the second session is refreshed.
    let (old, own) = (world.login().await, world.login().await);
    is_accepted(&world, &old.access).await;
    set_back(&world);
    let own = world.refresh(&own.refresh).await;
    act(&world, &operator, &old, &own).await;
    for password in [ADMIN.1, NEW_PASSWORD] {
        let login = world.try_login((ADMIN.0, password)).await;
        if login.status != 200 {
            continue;
        }
        let again = Tokens::of(&login);
        is_accepted(&world, &again.access).await;
        world.auth().get("/me").bearer(&again.access).await.is(200);
    }
    is_refused_for_good(&world, &old.access, expiry(&old)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_everywhere_ends_tokens_from_the_future() {
    scenario(async |world, _, _, own| {
        world.auth().post("/logout-all").bearer(&own.access).await.is(200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_tokens_from_the_future() {
    scenario(async |world, operator, _, _| {
        let account = operator.account_named(ADMIN.0).unwrap().unwrap();
        operator.set_password(account.id, NEW_PASSWORD.to_owned().into()).await.unwrap();
        is_notified(world).await;
        world.try_login((ADMIN.0, NEW_PASSWORD)).await.is(200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_an_account_ends_tokens_from_the_future() {
    scenario(async |world, operator, _, _| {
        operator.disable_account(operator.account_named(ADMIN.0).unwrap().unwrap().id).await.unwrap();
        world.try_login(ADMIN).await.refuses(401, "bad_credentials", "Bad email or password");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_a_role_away_ends_tokens_from_the_future_that_have_it() {
    scenario(async |world, operator, old, _| {
        let account = operator.account_named(ADMIN.0).unwrap().unwrap();
        operator.set_roles(account.id, Vec::new()).await.unwrap();
        is_notified(world).await;
        assert_eq!(old.claims()["roles"][0], "admin");
        let again = world.login().await;
        assert!(again.claims()["roles"].is_null());
        // A refresh does not restore the removed role, and it mints no token from the future.
        let refreshed = world.refresh(&again.refresh).await;
        is_accepted(world, &refreshed.access).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_key_ends_tokens_from_the_future() {
    scenario(async |world, operator, old, _| {
        let kid = tests::jws::header(&old.access)["kid"].as_str().unwrap().to_owned();
        operator.keys.revoke_signing_key(&kid.parse().unwrap()).await.unwrap();
        is_notified(world).await;
        until("another key signs", async || {
            let again = world.login().await;
            (tests::jws::header(&again.access)["kid"] != kid.as_str()).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_a_client_ends_its_tokens_from_the_future_when_it_is_enabled_again_too() {
    let world = World::new().await;
    let operator = world.operator().await;
    let old = service_token(&world).await;
    is_accepted(&world, &old).await;
    let expires_at = world.clock.now().after(LIFE).unix_seconds();
    set_back(&world);
    let client = operator.client(RESOURCE.0).unwrap();
    operator.disable_client(&client).await.unwrap();
    operator.enable_client(&client).await.unwrap();
    is_refused_for_good(&world, &old, expires_at).await;
    is_accepted(&world, &service_token(&world).await).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_revokes_a_token_that_a_wrong_clock_holds_to_be_dead_or_not_born_yet() {
    let world = World::new().await;
    let right = world.clock.now();
    for wrong in [right.after(Duration::from_hours(1)), right.before(BACK)] {
        world.clock.set(right);
        let token = service_token(&world).await;
        is_accepted(&world, &token).await;
        world.clock.set(wrong);
        let answer = world.auth().post("/oauth/revoke").basic(RESOURCE).form(&[("token", &token)]).await;
        assert_eq!(answer.status, 200);
        world.clock.set(right);
        assert!(!is_active(&world, &token).await, "revoked at {wrong}");
        is_notified(&world).await;
        assert_eq!(world.protected(&token).await.is(401)["msg"], "The token has been revoked");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_across_a_crash_and_for_another_process() {
    let mut world = World::new().await;
    let old = world.login().await;
    world.crash_auth().await;
    set_back(&world);
    // This process has minted nothing. It knows the minted tokens from the database only.
    let operator = world.operator().await;
    operator.set_roles(operator.account_named(ADMIN.0).unwrap().unwrap().id, Vec::new()).await.unwrap();
    world.start_auth_where_it_was().await;
    is_accepted(&world, &world.login().await.access).await;
    is_refused_for_good(&world, &old.access, expiry(&old)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_for_what_was_minted_before_it_was_counted() {
    let mut world = World::new().await;
    let old = world.login().await;
    world.stop_auth().await;
    // The database as it was before the watermark existed.
    world.forget_mark();
    Connection::open(world.path("auth.db"))
        .unwrap()
        .execute_batch(
            "ALTER TABLE audit DROP COLUMN previous;
            ALTER TABLE audit DROP COLUMN random;
            ALTER TABLE audit DROP COLUMN tag;
            ALTER TABLE sessions DROP COLUMN repeats;
            ALTER TABLE sessions DROP COLUMN repeats_audited;
            DROP INDEX live_sessions;
            DROP TABLE session_epochs;
            ALTER TABLE accounts DROP COLUMN sessions_end_before;
            ALTER TABLE accounts DROP COLUMN sessions_ended_at;
            ALTER TABLE accounts DROP COLUMN sessions_ended_seq;
            ALTER TABLE sessions DROP COLUMN epoch;
            ALTER TABLE sessions DROP COLUMN ended_seq;
            ALTER TABLE revocations DROP COLUMN random;
            ALTER TABLE revocations DROP COLUMN tag;
            ALTER TABLE revocation_log DROP COLUMN tag;
            ALTER TABLE revocation_log DROP COLUMN begins_at;
            ALTER TABLE revocation_log DROP COLUMN went_back;
            ALTER TABLE revocation_log DROP COLUMN went_back_log;
            ALTER TABLE revocation_log DROP COLUMN writes;
            DROP TABLE swept_tags;
            DROP TABLE former_logs;
            DROP TABLE proof_key;
            ALTER TABLE watchers DROP COLUMN algorithms;
            DROP INDEX watchers_by_arrival;
            ALTER TABLE watchers DROP COLUMN arrival;
            ALTER TABLE sessions DROP COLUMN minted_at;
            ALTER TABLE signing_keys DROP COLUMN minted_up_to;
            PRAGMA user_version = 7;",
        )
        .unwrap();
    set_back(&world);
    world.start_auth_where_it_was().await;
    let operator = world.operator().await;
    operator.set_roles(operator.account_named(ADMIN.0).unwrap().unwrap().id, Vec::new()).await.unwrap();
    is_accepted(&world, &world.login().await.access).await;
    is_refused_for_good(&world, &old.access, expiry(&old)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_outlives_the_last_token_that_it_revokes_whatever_clock_that_was_minted_by() {
    let world = World::of_auth_alone(&[]).await;
    let old = world.login().await;
    let mut watcher = Watcher::current(&world.grpc().basic(BILLING.0, BILLING.1), hello("one")).await;
    set_back(&world);
    // The session was last used by the clock that is behind. Its first token lives longer than the one minted then.
    let own = world.refresh(&old.refresh).await;
    assert!(expiry(&own) < expiry(&old));
    world.auth().post("/logout").bearer(&own.access).await.is(200);
    watcher.until_seq(1).await;
    let entry = &watcher.entries[0];
    assert!(matches!(&entry.matches, Some(Matches::Sid(sid)) if old.claims()["sid"] == sid.as_str()));
    assert!(entry.expires_at.unwrap() > expiry(&old), "{entry:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_taken_away_twice_in_a_second_is_gone_from_what_was_minted_in_between() {
    let world = World::new().await;
    let operator = world.operator().await;
    let admin: Role = "admin".parse().unwrap();
    let tokens = world.login().await;
    let mut before = tokens.access.clone();
    let mut live = tokens.refresh;
    for _ in 0..3 {
        let account = operator.account_named(ADMIN.0).unwrap().unwrap();
        operator.set_roles(account.id, Vec::new()).await.unwrap();
        until("it is refused", async || (!world.introspect(&before).await.active).then_some(())).await;
        let account = operator.account_named(ADMIN.0).unwrap().unwrap();
        operator.set_roles(account.id, vec![admin.clone()]).await.unwrap();
        let next = world.refresh(&live).await;
        is_accepted(&world, &next.access).await;
        (before, live) = (next.access, next.refresh);
    }
    world.stop().await;
}
