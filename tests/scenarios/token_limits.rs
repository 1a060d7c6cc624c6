//! Limits on refreshes, on the token endpoint and on revocations, and what many requests leave behind.

use std::time::Duration;

use auth_service::{
    domain::{
        audit::{AuditEntry, Event},
        session::Device,
    },
    store::Store,
};
use countermark::{clock::Clock as _, verify::Revocation};
use countermark_service::database::rusqlite::Connection;
use serde_json::json;
use tests::{
    Answer, World, until,
    world::{ADMIN, BILLING, MUTE, PLAIN, RESOURCE, Tokens},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const FIRST_PARTY: (&str, &str) = ("client_id", "first-party");

#[track_caller]
fn limited(answer: &Answer, retry_after: &str) {
    answer.refuses(429, "too_many_requests", "Too many tries; wait a little");
    assert_eq!(answer.header("retry-after"), Some(retry_after));
}

#[track_caller]
fn limited_as_oauth(answer: &Answer, retry_after: &str) {
    answer.refuses_as_oauth(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some(retry_after));
}

async fn world(limits: &str) -> World {
    World::with(&[("AUTH_TOKEN_LIMITS", limits)]).await
}

/// A refresh at the token endpoint.
async fn refresh_grant(world: &World, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), FIRST_PARTY, ("refresh_token", token)];
    world.auth().post("/oauth/token").form(&form).await
}

async fn own_token(world: &World, client: (&str, &str)) -> Answer {
    world.auth().post("/oauth/token").basic(client).form(&[("grant_type", "client_credentials")]).await
}

async fn exchange(world: &World, subject: &str) -> Answer {
    let form = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    world.auth().post("/oauth/token").basic(RESOURCE).form(&form).await
}

async fn revoke(world: &World, token: &str) -> Answer {
    world.auth().post("/oauth/revoke").form(&[FIRST_PARTY, ("token", token)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_refreshes_so_often_and_a_limited_refresh_spends_nothing() {
    let world = world("session=3/min").await;
    let (tokens, other) = (world.login().await, world.login().await);
    let second = world.refresh(&tokens.refresh).await;
    let third = world.refresh(&second.refresh).await;
    // Both endpoints count together, and so does an answer that is given again.
    let again = refresh_grant(&world, &second.refresh).await.is(200);
    assert_eq!(again["refresh_token"], third.refresh.as_str());
    for _ in 0..5 {
        limited(&world.try_refresh(&third.refresh).await, "20");
        limited(&world.auth().post("/refresh").json(&json!({"refresh_token": third.refresh})).await, "20");
        limited_as_oauth(&refresh_grant(&world, &third.refresh).await, "20");
        limited(&world.try_refresh(&second.refresh).await, "20");
    }
    world.refresh(&other.refresh).await;
    world.auth().get("/me").bearer(&third.access).await.is(200);
    world.pass(Duration::from_millis(19_500));
    limited(&world.try_refresh(&third.refresh).await, "1");
    world.pass(Duration::from_millis(500));
    let fourth = world.refresh(&third.refresh).await;
    limited(&world.try_refresh(&fourth.refresh).await, "20");
    world.auth().get("/me").bearer(&fourth.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_refresh_by_cookie_keeps_the_cookies() {
    let world = world("session=1/hour").await;
    let login = json!({"email": ADMIN.0, "password": ADMIN.1, "delivery": "cookie"});
    let answer = world.auth().post("/login").json(&login).await;
    let csrf = answer.is(200)["csrf"].as_str().unwrap().to_owned();
    let cookies = |answer: &Answer| -> String {
        let set = answer.headers.get_all("set-cookie").iter();
        set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
    };
    let held = cookies(&answer);
    let refresh = |held: &str, csrf: &str| {
        world.auth().post("/refresh").header("cookie", held).header("x-csrf-token", csrf)
    };
    // Another site can't use up the limit: it does not know the CSRF value.
    for _ in 0..3 {
        assert_eq!(refresh(&held, "wrong").await.status, 403);
    }
    let next = refresh(&held, &csrf).await;
    next.is(200);
    let answer = refresh(&cookies(&next), &csrf).await;
    limited(&answer, "3600");
    assert_eq!(answer.header("set-cookie"), None);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_an_account_refresh_so_often_together() {
    let world = world("session=off,account=4/min").await;
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(world.login().await);
    }
    for tokens in &tokens[..4] {
        world.refresh(&tokens.refresh).await;
    }
    limited(&world.try_refresh(&tokens[4].refresh).await, "15");
    let other = world.login_as(PLAIN).await;
    world.refresh(&other.refresh).await;
    world.pass(Duration::from_secs(15));
    world.refresh(&tokens[4].refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_counts_for_the_session_and_the_account_of_its_subject() {
    let world = world("session=2/min,account=3/min").await;
    let (one, two) = (world.login().await, world.login().await);
    exchange(&world, &one.access).await.is(200);
    world.refresh(&one.refresh).await;
    limited_as_oauth(&exchange(&world, &one.access).await, "30");
    exchange(&world, &two.access).await.is(200);
    limited_as_oauth(&exchange(&world, &two.access).await, "20");
    // A client's own token has neither.
    for _ in 0..5 {
        own_token(&world, RESOURCE).await.is(200);
    }
    world.pass(Duration::from_secs(20));
    exchange(&world, &two.access).await.is(200);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_so_often_and_a_wrong_secret_counts_for_nobody() {
    let world = world("client=2/min").await;
    for _ in 0..5 {
        own_token(&world, (BILLING.0, "wrong")).await.refuses_as_oauth(401, "invalid_client");
    }
    own_token(&world, BILLING).await.is(200);
    let revoke = || world.auth().post("/oauth/revoke").basic(BILLING).form(&[("token", "nothing")]);
    assert_eq!(revoke().await.status, 200);
    limited_as_oauth(&own_token(&world, BILLING).await, "30");
    limited_as_oauth(&revoke().await, "30");
    own_token(&world, MUTE).await.is(200);
    // Anybody can name the public client: it has no limit of its own.
    for _ in 0..5 {
        refresh_grant(&world, &world.login().await.refresh).await.is(200);
    }
    // Introspection is not limited.
    for _ in 0..5 {
        let answer =
            world.auth().post("/oauth/introspect").basic(BILLING).form(&[("token", "nothing")]).await;
        assert_eq!(answer.is(200), json!({"active": false}));
    }
    world.pass(Duration::from_secs(30));
    own_token(&world, BILLING).await.is(200);
    world.stop().await;
}

/// Texts that are like that token, and are not it.
fn spoiled(token: &str) -> Vec<String> {
    let changed = |at: usize| {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let length = token.len();
    let positions = (0..40).map(|part| part * (length - 2) / 40);
    positions.map(changed).chain([token[..length - 4].to_owned(), format!("{token}AAAA")]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_make_up_counts_for_nobody() {
    let world = world("session=1/hour,account=1/hour").await;
    let (tokens, thief) = (world.login().await, world.login_as(PLAIN).await);
    for token in spoiled(&tokens.refresh) {
        assert_eq!(world.try_refresh(&token).await.status, 401, "{token}");
        refresh_grant(&world, &token).await.refuses_as_oauth(400, "invalid_grant");
        assert_eq!(revoke(&world, &token).await.status, 200);
    }
    for token in spoiled(&tokens.access) {
        exchange(&world, &token).await.refuses_as_oauth(400, "invalid_request");
        assert_eq!(revoke(&world, &token).await.status, 200);
    }
    // Another client's request with an authentic token counts for nobody, too.
    for token in [&tokens.refresh, &tokens.access] {
        let form = [("token", token.as_str())];
        assert_eq!(world.auth().post("/oauth/revoke").basic(BILLING).form(&form).await.status, 200);
    }
    let next = world.refresh(&tokens.refresh).await;
    limited(&world.try_refresh(&next.refresh).await, "3600");
    assert_eq!(revoke(&world, &tokens.access).await.status, 200);
    assert!(!world.introspect(&tokens.access).await.active, "it was revoked");
    world.refresh(&thief.refresh).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_theft_is_noticed_while_the_limit_is_reached() {
    let world = world("session=3/hour").await;
    let stolen = world.login().await;
    let mut current = world.refresh(&stolen.refresh).await;
    for _ in 0..2 {
        current = world.refresh(&current.refresh).await;
    }
    limited(&world.try_refresh(&current.refresh).await, "1200");
    // The honest client shows the token that the thief has spent.
    assert_eq!(world.try_refresh(&stolen.refresh).await.status, 401);
    assert_eq!(world.try_refresh(&current.refresh).await.status, 401, "the session is over for the thief");
    assert!(!world.introspect(&current.access).await.active);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_are_limited_by_themselves_and_a_limited_one_revokes_nothing() {
    let world = world("session=2/min").await;
    let tokens = world.login().await;
    let second = world.refresh(&tokens.refresh).await;
    let third = world.refresh(&second.refresh).await;
    limited(&world.try_refresh(&third.refresh).await, "30");
    for access in [&tokens.access, &second.access] {
        assert_eq!(revoke(&world, access).await.status, 200);
    }
    limited_as_oauth(&revoke(&world, &third.access).await, "30");
    limited_as_oauth(&revoke(&world, &third.refresh).await, "30");
    assert!(world.introspect(&third.access).await.active);
    world.pass(Duration::from_secs(30));
    assert_eq!(revoke(&world, &third.refresh).await.status, 200);
    assert!(!world.introspect(&third.access).await.active);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_is_never_limited() {
    let world = world("session=1/hour,account=1/hour").await;
    let tokens = world.login().await;
    let next = world.refresh(&tokens.refresh).await;
    limited(&world.try_refresh(&next.refresh).await, "3600");
    world.auth().post("/logout").bearer(&next.refresh).await.is(200);
    assert!(!world.introspect(&next.access).await.active);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_answer_is_audited_once_a_generation_with_a_count() {
    let world = World::with(&[("AUTH_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let database = Connection::open(world.path("auth.db")).unwrap();
    let audited = || -> Vec<String> {
        let query = "SELECT detail FROM audit WHERE event = 'refresh_repeated' ORDER BY id";
        let mut rows = database.prepare(query).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let from = |address: &'static str, token: &str| {
        world.auth().post("/refresh").header("x-forwarded-for", address).bearer(token)
    };
    let first = world.login().await;
    let second = Tokens::of(&from("203.0.113.1", &first.refresh).await);
    assert_eq!(audited(), [""; 0]);
    from("203.0.113.1", &first.refresh).await.is(200);
    assert_eq!(audited(), ["once"]);
    for _ in 0..98 {
        from("203.0.113.2", &first.refresh).await.is(200);
    }
    from("203.0.113.3", &first.refresh).await.is(200);
    assert_eq!(audited(), ["100 times, last from 203.0.113.3"]);
    // Another session has its own, and so has the next generation.
    let other = world.login().await;
    world.refresh(&other.refresh).await;
    world.refresh(&other.refresh).await;
    let third = world.refresh(&second.refresh).await;
    for _ in 0..3 {
        from("203.0.113.4", &second.refresh).await.is(200);
    }
    let expected = ["100 times, last from 203.0.113.3", "once", "3 times, last from 203.0.113.4"];
    assert_eq!(audited(), expected);
    world.refresh(&third.refresh).await;
    assert_eq!(audited(), expected);
    // An entry that was swept meanwhile comes back; it is never mistaken for another.
    database.execute("DELETE FROM audit", []).unwrap();
    world.login().await;
    world.refresh(&third.refresh).await;
    world.refresh(&third.refresh).await;
    assert_eq!(audited(), ["2 times, last from 127.0.0.1"]);
    world.stop().await;
}

/// Log entries and audit entries, as many requests would write.
async fn write_many(world: &World, count: u32) {
    let store = Store::open(world.path("auth.db").into(), None).unwrap();
    let now = world.clock.now();
    let why = AuditEntry {
        at: now,
        event: Event::TokenRevoked,
        account: None,
        session: None,
        client: None,
        device: Device::default(),
        detail: None,
    };
    for from in (0..count).step_by(200) {
        let mut writes = tokio::task::JoinSet::new();
        for number in from..(from + 200).min(count) {
            let (store, why) = (store.clone(), why.clone());
            let revocation = Revocation::Token(format!("token-{number}").parse().unwrap());
            writes.spawn(async move { store.revoke(revocation, now, why).await.map(drop) });
        }
        for written in writes.join_all().await {
            written.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sweep_deletes_all_that_has_expired_however_much_it_is() {
    const MANY: u32 = 12_345;
    const COPY: &str = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
        INSERT INTO sessions (id, account_id, client_id, secret, generation, created_at, rotated_at, minted_at, epoch)
        SELECT randomblob(16), account_id, client_id, secret, generation, created_at, rotated_at, minted_at, epoch
        FROM number, sessions";
    const TRIES: &str =
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
        INSERT INTO login_tries (who, forgotten_at) SELECT randomblob(16), ?2 FROM number";
    // Otherwise a key rotation would write to the audit table meanwhile.
    let settings = [("AUTH_AUDIT_TTL", "30d"), ("AUTH_KEY_MAX_AGE", "3650d")];
    let world = World::of_auth_alone(&settings).await;
    until("the next key is published, which is audited", async || {
        let keys = world.auth().get("/.well-known/jwks.json").await.is(200);
        (keys["keys"].as_array()?.len() == 2).then_some(())
    })
    .await;
    world.login().await;
    let database = Connection::open(world.path("auth.db")).unwrap();
    database.busy_timeout(Duration::from_mins(1)).unwrap();
    database.execute(COPY, [MANY - 1]).unwrap();
    database.execute(TRIES, (MANY, world.clock.now().unix_millis())).unwrap();
    write_many(&world, MANY).await;
    let rows = |table: &str| -> u32 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let tables = ["sessions", "revocations", "audit", "login_tries"];
    for table in tables {
        assert!(rows(table) >= MANY, "{table}");
    }
    world.pass(Duration::from_hours(24 * 365));
    let operator = world.operator().await;
    operator.sweep().await.unwrap();
    world.pass(Duration::from_mins(17));
    // What begins now stays, and others write while the sweep goes on.
    let kept = world.login().await;
    let refreshing = async {
        let mut tokens = kept.clone();
        for _ in 0..20 {
            tokens = world.refresh(&tokens.refresh).await;
        }
        tokens
    };
    let (swept, kept) = tokio::join!(operator.sweep(), refreshing);
    swept.unwrap();
    let left: Vec<_> = tables.iter().map(|table| rows(table)).collect();
    assert_eq!(left, [1, 0, 1, 0], "{tables:?}");
    assert_eq!(rows("swept_tags"), MANY, "tags are kept for longer");
    world.refresh(&kept.refresh).await;
    world.stop().await;
}
