//! Many sessions end at once: logout from all, an operator's `session revoke`, `refresh-key revoke`, `client
//! revoke-tokens`; and an account that logs in at more places than it may.

use std::{collections::BTreeSet, time::Duration};

use countermark::clock::{Clock as _, SystemClock, Timestamp};
use countermark_proto::auth_v1::entry::Matches;
use serde_json::{Value, json};
use tests::{
    Answer, World,
    operator::{json_of, run, world_of_today},
    watcher::{Watcher, hello},
    world::{ADMIN, BEGINNING, BILLING, ISSUER, PLAIN, Tokens},
};

#[track_caller]
fn revoked(answer: &Answer) {
    answer.challenges(ISSUER, 401, "invalid_token", "The token has been revoked", &[]);
}

#[track_caller]
fn spent(answer: &Answer) {
    answer.refuses(401, "invalid_grant", "The refresh token is not accepted; log in");
}

/// The session is over: its access token is refused, and so is its refresh token.
async fn is_over(world: &World, tokens: &Tokens) {
    revoked(&world.auth().get("/me").bearer(&tokens.access).await);
    spent(&world.try_refresh(&tokens.refresh).await);
}

async fn goes_on(world: &World, tokens: &Tokens) -> Tokens {
    world.auth().get("/me").bearer(&tokens.access).await.is(200);
    world.refresh(&tokens.refresh).await
}

async fn logins<const N: usize>(world: &World) -> [Tokens; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(world.login().await);
    }
    all.try_into().unwrap()
}

async fn service_token(world: &World) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "documents:read")];
    let answer = world.auth().post("/oauth/token").basic(BILLING).form(&form).await.is(200);
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn is_active(world: &World, token: &str) -> bool {
    world.introspect(token).await.active
}

fn kind(watcher: &Watcher) -> &Matches {
    watcher.entries.last().unwrap().matches.as_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_from_all_is_one_entry_however_many_sessions_end() {
    let world = World::new().await;
    let grpc = world.grpc().basic(BILLING.0, BILLING.1);
    let all = logins::<5>(&world).await;
    let mut watcher = Watcher::current(&grpc, hello("one")).await;
    let before = watcher.seq;
    world.auth().post("/logout-all").bearer(&all[0].access).await.is(200);
    watcher.until_seq(before + 1).await;
    assert!(matches!(kind(&watcher), Matches::Account(_)), "{:?}", kind(&watcher));
    for tokens in &all {
        is_over(&world, tokens).await;
    }
    // A login within the same second begins a session that goes on.
    let again = world.login().await;
    goes_on(&world, &again).await;
    watcher.confirm().await;
    assert_eq!(watcher.seq, before + 1, "nothing else was logged");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_with_all_others_stays_over_at_a_restart_and_is_no_theft() {
    let mut world = World::new().await;
    let [one, two] = logins::<2>(&world).await;
    let next = world.refresh(&one.refresh).await;
    world.auth().post("/logout-all").bearer(&two.access).await.is(200);
    world.restart().await;
    for token in [&one.refresh, &next.refresh, &two.refresh] {
        spent(&world.try_refresh(token).await);
    }
    revoked(&world.auth().get("/me").bearer(&next.access).await);
    let fresh = world.login().await;
    let sessions = world.auth().get("/sessions").bearer(&fresh.access).await.is(200);
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clock_that_was_ahead_a_logout_from_all_ends_all_and_a_login_works_at_once() {
    let world = World::new().await;
    world.pass(Duration::from_hours(3));
    let [one, two] = logins::<2>(&world).await;
    world.clock.set(Timestamp::from_unix_seconds(BEGINNING));
    let here = world.login().await;
    world.auth().post("/logout-all").bearer(&here.access).await.is(200);
    for tokens in [&one, &two, &here] {
        spent(&world.try_refresh(&tokens.refresh).await);
    }
    let again = world.login().await;
    goes_on(&world, &again).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_from_all_by_a_clock_that_is_ahead_keeps_nobody_out_when_the_clock_is_right_again() {
    let world = World::new().await;
    let before = world.login().await;
    let right = Timestamp::from_unix_seconds(BEGINNING);
    world.clock.set(right.after(Duration::from_hours(24 * 365)));
    let ahead = world.login().await;
    world.auth().post("/logout-all").bearer(&ahead.access).await.is(200);
    world.clock.set(right.after(Duration::from_secs(10)));
    spent(&world.try_refresh(&before.refresh).await);
    spent(&world.try_refresh(&ahead.refresh).await);
    revoked(&world.auth().get("/me").bearer(&before.access).await);
    let again = world.login().await;
    goes_on(&world, &again).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_read_page_by_page() {
    let world = World::new().await;
    let mut ids = BTreeSet::new();
    let mut last = world.login().await;
    for _ in 0..6 {
        ids.insert(last.claims()["sid"].as_str().unwrap().to_owned());
        world.pass(Duration::from_secs(1));
        last = world.login().await;
    }
    ids.insert(last.claims()["sid"].as_str().unwrap().to_owned());
    world.login_as(PLAIN).await;
    let page = |query: &str| world.auth().get(&format!("/sessions{query}")).bearer(&last.access);
    let (mut found, mut created, mut after, mut pages) = (BTreeSet::new(), Vec::new(), String::new(), 0);
    loop {
        let answer = page(&format!("?limit=3&after={after}")).await.is(200);
        for session in answer["sessions"].as_array().unwrap() {
            assert!(found.insert(session["id"].as_str().unwrap().to_owned()), "each once");
            created.push(session["created_at"].as_str().unwrap().to_owned());
        }
        pages += 1;
        let Some(next) = answer["next"].as_str() else { break };
        after = next.to_owned();
    }
    assert_eq!((found, pages), (ids, 3));
    assert!(created.is_sorted(), "oldest first: {created:?}");
    assert_eq!(page("").await.is(200)["next"], Value::Null);

    for limit in ["0", "501", "-1", "1.5", "x", "", "+", "99999999999"] {
        page(&format!("?limit={limit}")).await.is_invalid_request("limit must be a number from 1 to 500");
    }
    let sid = last.claims()["sid"].as_str().unwrap().to_owned();
    for after in ["x", "1-2-3", &sid, "%00", "%F0%9F%98%80", "-1-0-00000000000000000000000000000000"] {
        page(&format!("?after={after}")).await.is_invalid_request("after must be the value of next");
    }
    // A place stays valid when its session is gone.
    let first = page("?limit=1").await.is(200);
    let gone = first["sessions"][0]["id"].as_str().unwrap();
    assert_eq!(world.auth().delete(&format!("/sessions/{gone}")).bearer(&last.access).await.status, 204);
    let rest = page(&format!("?after={}", first["next"].as_str().unwrap())).await.is(200);
    assert_eq!(rest["sessions"].as_array().unwrap().len(), 6, "all but the one that is gone");
    page("?limit=1&limit=2").await.is_invalid_request("may each be given once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_at_most_so_many_sessions_and_the_longest_unused_one_ends() {
    let world = world_of_today(&[("AUTH_SESSIONS_PER_ACCOUNT", "3")]).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(world.login().await);
        world.pass(Duration::from_secs(1));
    }
    let other = world.login_as(PLAIN).await;
    // The oldest is in use, so the second one is the longest unused.
    all[0] = world.refresh(&all[0].refresh).await;
    let fourth = world.login().await;
    is_over(&world, &all[1]).await;
    for tokens in [&all[0], &all[2], &fourth, &other] {
        world.auth().get("/me").bearer(&tokens.access).await.is(200);
    }
    let audit = json_of(&world, &["audit"]).await;
    let displaced: Vec<_> =
        audit.as_array().unwrap().iter().filter(|entry| entry["event"] == "session_displaced").collect();
    assert_eq!(displaced.len(), 1, "{audit}");
    assert_eq!(displaced[0]["session"], all[1].claims()["sid"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_has_more_sessions_than_a_new_limit_loses_them_at_its_next_login() {
    let mut world = World::with(&[("AUTH_SESSIONS_PER_ACCOUNT", "off")]).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(world.login().await);
        world.pass(Duration::from_secs(1));
    }
    for tokens in &all {
        world.auth().get("/me").bearer(&tokens.access).await.is(200);
    }
    world.restart_with(&[("AUTH_SESSIONS_PER_ACCOUNT", "2")]).await;
    let sixth = world.login().await;
    for tokens in &all[..4] {
        is_over(&world, tokens).await;
    }
    goes_on(&world, &all[4]).await;
    goes_on(&world, &sixth).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_all_sessions_of_an_account_and_no_other() {
    let world = world_of_today(&[]).await;
    let ([one, two], other) = (logins::<2>(&world).await, world.login_as(PLAIN).await);
    let said = json_of(&world, &["session", "revoke", "--account", ADMIN.0, "--wait"]).await;
    assert_eq!((&said["complete"], &said["unconfirmed"]), (&json!(true), &json!([])), "{said}");
    assert_eq!(world.protected(&one.access).await.status, 401, "the verifier has confirmed");
    is_over(&world, &one).await;
    is_over(&world, &two).await;
    goes_on(&world, &other).await;
    let again = world.login().await;
    goes_on(&world, &again).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_every_session_and_revokes_every_access_token() {
    let world = world_of_today(&[]).await;
    let ([one, two], other) = (logins::<2>(&world).await, world.login_as(PLAIN).await);
    let service = service_token(&world).await;
    assert!(is_active(&world, &service).await);
    let grpc = world.grpc().basic(BILLING.0, BILLING.1);
    let mut watcher = Watcher::current(&grpc, hello("one")).await;
    let before = watcher.seq;
    json_of(&world, &["session", "revoke", "--all"]).await;
    watcher.until_seq(before + 1).await;
    assert!(matches!(kind(&watcher), Matches::EverythingBefore(_)), "{:?}", kind(&watcher));
    for tokens in [&one, &two, &other] {
        is_over(&world, tokens).await;
    }
    assert!(!is_active(&world, &service).await);
    world.pass(Duration::from_secs(2));
    let (again, service) = (world.login().await, service_token(&world).await);
    goes_on(&world, &again).await;
    assert!(is_active(&world, &service).await);
    assert_eq!(json_of(&world, &["session", "list", ADMIN.0]).await.as_array().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_the_sessions_that_began_long_ago() {
    let world = world_of_today(&[]).await;
    // The command line goes by the machine's clock: the old sessions begin in its past.
    let now = SystemClock::new().now();
    world.clock.set(now.before(Duration::from_hours(2)));
    let old = world.login().await;
    let older = world.login_as(PLAIN).await;
    world.clock.set(now);
    let kept = world.refresh(&old.refresh).await;
    let new = world.login().await;
    let said = json_of(&world, &["session", "revoke", "--older-than", "1h", "--wait"]).await;
    assert_eq!((&said["ended"], &said["complete"]), (&json!(2), &json!(true)), "{said}");
    is_over(&world, &kept).await;
    spent(&world.try_refresh(&older.refresh).await);
    goes_on(&world, &new).await;
    let said = json_of(&world, &["session", "revoke", "--older-than", "1h"]).await;
    assert_eq!(said["ended"], 0, "they are over already");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_refresh_tokens_are_revoked_with_every_session() {
    let mut world = world_of_today(&[]).await;
    let [one, two] = logins::<2>(&world).await;
    json_of(&world, &["refresh-key", "revoke", "--wait"]).await;
    is_over(&world, &one).await;
    is_over(&world, &two).await;
    assert_eq!(json_of(&world, &["refresh-key", "list"]).await.as_array().unwrap().len(), 1);
    world.pass(Duration::from_secs(2));
    let again = world.login().await;
    let again = goes_on(&world, &again).await;
    world.restart().await;
    goes_on(&world, &again).await;
    spent(&world.try_refresh(&two.refresh).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_a_client_are_revoked_and_it_gets_new_ones() {
    let world = world_of_today(&[]).await;
    let (old, user) = (service_token(&world).await, world.login().await);
    json_of(&world, &["client", "revoke-tokens", BILLING.0, "--wait"]).await;
    assert!(!is_active(&world, &old).await);
    world.auth().get("/me").bearer(&user.access).await.is(200);
    world.pass(Duration::from_secs(2));
    let new = service_token(&world).await;
    assert!(is_active(&world, &new).await);

    json_of(&world, &["client", "revoke-tokens", "first-party", "--wait"]).await;
    revoked(&world.auth().get("/me").bearer(&user.access).await);
    let refreshed = world.refresh(&user.refresh).await;
    world.auth().get("/me").bearer(&refreshed.access).await.is(200);
    assert!(is_active(&world, &new).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_which_sessions_end_exactly_once() {
    let world = world_of_today(&[]).await;
    let tokens = world.login().await;
    let sid = tokens.claims()["sid"].as_str().unwrap().to_owned();
    for arguments in [
        &["session", "revoke"][..],
        &["session", "revoke", "--all", &sid],
        &["session", "revoke", "--all", "--account", ADMIN.0],
        &["session", "revoke", "--all", "--older-than", "1h"],
        &["session", "revoke", "--older-than", "1h", "--account", ADMIN.0],
        &["session", "revoke", "--older-than", "yesterday"],
        &["session", "revoke", "--older-than"],
        &["session", "revoke", "--account", "nobody@example.com"],
        &["session", "revoke", "everybody"],
        &["client", "revoke-tokens"],
        &["client", "revoke-tokens", "nobody"],
        &["refresh-key", "revoke", "1"],
    ] {
        let (code, output, error) = run(&world, arguments).await;
        assert!(
            matches!(code, 1 | 64) && output.is_empty() && !error.is_empty(),
            "{arguments:?}: {code} {error}"
        );
    }
    goes_on(&world, &tokens).await;
    world.stop().await;
}
