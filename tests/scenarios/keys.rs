//! resource-service fetches the issuer's keys. The issuer may fail, or send wrong answers.

use std::{future::IntoFuture as _, sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use countermark::{
    clock::{ManualClock, Timestamp},
    issuer::{JwksClient, KeySource as _},
};
use serde_json::{Value, json};
use tests::{
    Answer,
    alone::{Alone, token_by, token_under},
    forge::{with, without},
    issuer::{FakeIssuer, Mode},
    jws::{OTHER, THIEF, b64, message, seal},
    until,
    world::{AUDIENCE, BEGINNING},
};

/// Shortest time between two fetches.
const COOLDOWN: Duration = Duration::from_secs(10);

/// Lifetime of a key set whose answer does not state one.
const MAX_AGE: Duration = Duration::from_mins(5);

#[track_caller]
fn invalid(answer: &Answer) {
    answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
}

/// A token with an unknown `kid`, as an attacker would send it.
fn unknown(number: usize) -> String {
    let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": format!("unknown-{number}")});
    seal(&message(header.to_string(), "{}"), [0; 256])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_no_good_is_skipped_and_the_rest_of_the_set_works() {
    let fixtures: Value = serde_json::from_str(include_str!("../fixtures/unusable_keys.json")).unwrap();
    let named = |kid: &str, members: &[(&str, Value)]| {
        let jwk = with(&THIEF.jwk(), &[("kid", json!(kid))]);
        (kid.to_owned(), with(&jwk, members))
    };
    // Each entry is the thief's key, which would be accepted without the fault.
    let faulty = [
        named("for-encryption", &[("use", json!("enc"))]),
        named("for-encrypting", &[("key_ops", json!(["encrypt"]))]),
        named("for-rs512", &[("alg", json!("RS512"))]),
        named("for-ps256", &[("alg", json!("PS256"))]),
        named("for-hs256", &[("alg", json!("HS256"))]),
        named("of-another-kind", &[("kty", json!("EC"))]),
        named("of-no-kind", &[("kty", json!(null))]),
        named("private", &[("d", json!("AQAB"))]),
        named("exponent-1", &[("e", json!("AQ"))]),
        named("exponent-0", &[("e", json!("AA"))]),
        named("exponent-even", &[("e", json!("AQAA"))]),
        named("no-exponent", &[("e", json!(""))]),
        named("padded", &[("n", json!(format!("{}==", b64(THIEF.modulus()))))]),
        named("no-base64", &[("n", json!("!!!"))]),
        named("a-number", &[("n", json!(1))]),
        named("empty-modulus", &[("n", json!(""))]),
        named("zero-modulus", &[("n", json!(b64([0; 256])))]),
    ];
    // Keys that can be factored. Their signatures are right (ROCA, CVE-2017-15361).
    let roca: Value = serde_json::from_str(include_str!("../fixtures/roca_keys.json")).unwrap();
    let mut entries: Vec<Value> =
        vec![json!(null), json!(1), json!("x"), json!([]), json!({}), json!({"kty": "RSA"})];
    entries.push(json!({"kty": "oct", "kid": "oct", "k": b64([7; 32]), "alg": "HS256"}));
    entries.push(json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": b64([1; 32]), "y": b64([2; 32])}));
    entries.push(json!({"kty": "OKP", "crv": "Ed25519", "kid": "okp", "x": b64([3; 32])}));
    entries.push(json!({"kty": "unheard of", "kid": "unheard-of"}));
    entries.extend(faulty.iter().map(|(_, jwk)| jwk.clone()));
    entries.extend(roca["vectors"].as_array().unwrap().iter().map(|vector| vector["jwk"].clone()));
    entries.push(without(&THIEF.jwk(), "kid"));
    entries.push(with(&THIEF.jwk(), &[("kid", json!(""))]));
    entries.push(with(&THIEF.jwk(), &[("kid", json!(1))]));
    entries.extend(fixtures["keys"].as_array().unwrap().iter().map(|key| key["jwk"].clone()));
    entries.push(OTHER.jwk());

    let issuer = FakeIssuer::start(Mode::Keys(entries)).await;
    let alone = Alone::ready(&issuer, &[]).await;
    assert_eq!(alone.show(&token_by(&OTHER)).await.is(200), json!({"logged_in_as": "somebody"}));
    for (kid, _) in &faulty {
        eprintln!("{kid}");
        invalid(&alone.show(&token_under(&THIEF, kid)).await);
    }
    invalid(&alone.show(&token_by(&THIEF)).await);
    for key in fixtures["keys"].as_array().unwrap() {
        eprintln!("{}", key["why"]);
        invalid(&alone.show(key["token"].as_str().unwrap()).await);
    }
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_omit_its_optional_members() {
    let plain = without(&without(&OTHER.jwk(), "use"), "alg");
    let verifying = with(&THIEF.jwk(), &[("key_ops", json!(["verify"]))]);
    let issuer = FakeIssuer::start(Mode::Keys(vec![plain, verifying])).await;
    let alone = Alone::ready(&issuer, &[]).await;
    alone.show(&token_by(&OTHER)).await.is(200);
    alone.show(&token_by(&THIEF)).await.is(200);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_keys_under_one_name_neither_is_used() {
    let twin = |key: Value| with(&key, &[("kid", json!("twin"))]);
    for keys in [
        vec![twin(OTHER.jwk()), twin(THIEF.jwk()), OTHER.jwk()],
        vec![twin(THIEF.jwk()), OTHER.jwk(), twin(OTHER.jwk()), twin(THIEF.jwk())],
    ] {
        let issuer = FakeIssuer::start(Mode::Keys(keys)).await;
        let alone = Alone::ready(&issuer, &[]).await;
        for key in [&OTHER, &THIEF] {
            invalid(&alone.show(&token_under(key, "twin")).await);
        }
        alone.show(&token_by(&OTHER)).await.is(200);
        alone.stop().await;
    }
    // One key that is listed twice is still one key.
    let issuer = FakeIssuer::start(Mode::Keys(vec![twin(OTHER.jwk()), twin(OTHER.jwk())])).await;
    let alone = Alone::ready(&issuer, &[]).await;
    alone.show(&token_under(&OTHER, "twin")).await.is(200);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unknown_kids_cause_one_fetch_per_cool_down() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let alone = Alone::ready(&issuer, &[]).await;
    let good = token_by(&OTHER);
    let flood = async |from: usize, count: usize| {
        let flood: Vec<_> = (0..8)
            .map(|lane| {
                let http = alone.http.clone();
                tokio::spawn(async move {
                    for number in (0..count).filter(|number| number % 8 == lane) {
                        invalid(&http.get("/protected-route").bearer(unknown(from + number)).await);
                    }
                })
            })
            .collect();
        for lane in flood {
            lane.await.unwrap();
        }
    };
    // The fetch at the start was the first attempt, and its cool-down still runs.
    assert_eq!(issuer.hits(), 1);
    flood(0, 500).await;
    assert_eq!(issuer.hits(), 1);
    alone.pass(COOLDOWN);
    flood(1_000, 10_000).await;
    assert_eq!(issuer.hits(), 2);
    alone.show(&good).await.is(200);
    // Failed attempts count too: an issuer in trouble is not asked more often.
    issuer.turn(Mode::Status(500));
    for hits in 3..6 {
        alone.pass(COOLDOWN);
        flood(20_000, 200).await;
        assert_eq!(issuer.hits(), hits);
        alone.show(&good).await.is(200);
    }
    alone.pass(COOLDOWN - Duration::from_millis(1));
    flood(30_000, 100).await;
    assert_eq!(issuer.hits(), 5);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_trusted_as_soon_as_a_token_names_it() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let alone = Alone::ready(&issuer, &[]).await;
    issuer.turn(Mode::Keys(vec![OTHER.jwk(), THIEF.jwk()]));
    invalid(&alone.show(&token_by(&THIEF)).await);
    alone.pass(COOLDOWN);
    // All requests that arrive during the fetch wait for it and share its outcome.
    let at_once: Vec<_> = (0..32)
        .map(|_| tokio::spawn(alone.http.get("/protected-route").bearer(token_by(&THIEF)).into_future()))
        .collect();
    for answer in at_once {
        answer.await.unwrap().is(200);
    }
    assert_eq!(issuer.hits(), 2);
    alone.show(&token_by(&OTHER)).await.is(200);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_withdrawn_is_forgotten_at_max_age() {
    let keys = Mode::KeysFor(vec![OTHER.jwk(), THIEF.jwk()], "public, max-age=60");
    let issuer = FakeIssuer::start(keys).await;
    let alone = Alone::ready(&issuer, &[]).await;
    alone.show(&token_by(&THIEF)).await.is(200);
    issuer.turn(Mode::Keys(vec![OTHER.jwk()]));
    alone.pass(Duration::from_secs(59));
    alone.show(&token_by(&THIEF)).await.is(200);
    alone.pass(Duration::from_secs(1));
    until("the set is asked for again", || async { (issuer.hits() == 2).then_some(()) }).await;
    let forgotten = until("the key is forgotten", || async {
        let answer = alone.show(&token_by(&THIEF)).await;
        (answer.status != 200).then_some(answer)
    });
    invalid(&forgotten.await);
    alone.show(&token_by(&OTHER)).await.is(200);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_asked_for_again_by_its_tag_and_304_keeps_it() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let alone = Alone::ready(&issuer, &[]).await;
    issuer.turn(Mode::Status(304));
    for hits in 2..4 {
        alone.pass(MAX_AGE);
        until("the set is asked for again", || async { (issuer.hits() == hits).then_some(()) }).await;
        alone.show(&token_by(&OTHER)).await.is(200);
    }
    let heads = issuer.heads();
    assert!(heads[0].starts_with("GET /.well-known/jwks.json HTTP/1.1\r\n"), "{heads:?}");
    assert!(!heads[0].contains("if-none-match"), "{heads:?}");
    assert!(heads[1..].iter().all(|head| head.contains("if-none-match: \"1\"\r\n")), "{heads:?}");
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_issuer_the_last_good_set_stays() {
    let lair = FakeIssuer::start(Mode::Keys(vec![THIEF.jwk(), OTHER.jwk()])).await;
    let mut issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let alone = Alone::ready(&issuer, &[("RESOURCE_JWKS_TIMEOUT", "200ms")]).await;
    let good = token_by(&OTHER);
    let bad = [
        Mode::Status(500),
        Mode::Status(503),
        Mode::Status(404),
        Mode::Status(401),
        Mode::Status(204),
        Mode::Status(206),
        Mode::Huge,
        Mode::Half(vec![THIEF.jwk()]),
        Mode::Hang,
        Mode::Text(String::new()),
        Mode::Text("{}".into()),
        Mode::Text("[]".into()),
        Mode::Text("null".into()),
        Mode::Text(r#"{"keys":{}}"#.into()),
        Mode::Text(r#"{"keys":[]}"#.into()),
        Mode::Text("<html>an error page</html>".into()),
        Mode::Text(format!(r#"{{"keys":[{}]}}{}"#, THIEF.jwk(), " ".repeat(300 * 1_024))),
        Mode::Text(format!(r#"{{"keys":[{}]}} x"#, THIEF.jwk())),
        Mode::Text(json!({"keys": [{"kty": "oct", "kid": THIEF.kid(), "k": ""}]}).to_string()),
        Mode::Redirect(format!("{}/.well-known/jwks.json", lair.url())),
        Mode::Redirect(format!("{}/elsewhere", issuer.url())),
        Mode::Redirect("/elsewhere".into()),
    ];
    let mut hits = issuer.hits();
    for mode in bad {
        eprintln!("{mode:.80?}");
        issuer.turn(mode);
        alone.pass(COOLDOWN);
        // An unknown key causes a fetch. The answer waits for its outcome.
        invalid(&alone.show(&token_by(&THIEF)).await);
        hits += 1;
        assert_eq!(issuer.hits(), hits);
        alone.show(&good).await.is(200);
        assert_eq!(alone.ops.get("/health/ready").await.status, 200);
    }
    assert_eq!(lair.hits(), 0, "no redirect is followed");
    issuer.turn(Mode::Keys(vec![THIEF.jwk(), OTHER.jwk()]));
    alone.pass(COOLDOWN);
    alone.show(&token_by(&THIEF)).await.is(200);

    issuer.go_away().await;
    alone.pass(Duration::from_hours(24 * 365));
    alone.show(&good).await.is(200);
    invalid(&alone.show(&unknown(1)).await);
    assert_eq!(alone.ops.get("/health/ready").await.status, 200);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_tokens_do_not_wait_for_a_fetch() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let alone = Alone::ready(&issuer, &[("RESOURCE_JWKS_TIMEOUT", "2s")]).await;
    issuer.turn(Mode::Hang);
    alone.pass(COOLDOWN);
    let waiting = tokio::spawn(alone.http.get("/protected-route").bearer(unknown(1)).into_future());
    until("the fetch is under way", || async { (issuer.hits() == 2).then_some(()) }).await;
    for _ in 0..10 {
        alone.show(&token_by(&OTHER)).await.is(200);
    }
    assert!(!waiting.is_finished(), "and the fetch was under way all the time");
    invalid(&waiting.await.unwrap());
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_without_keys_is_503_and_heals_by_itself() {
    for mode in [Mode::Status(500), Mode::Text(String::new()), Mode::Keys(vec![])] {
        let issuer = FakeIssuer::start(mode).await;
        let alone = Alone::before(&issuer, &[]);
        until("the first attempt", || async { (issuer.hits() == 1).then_some(()) }).await;
        let good = token_by(&OTHER);
        for token in [good.as_str(), unknown(1).as_str()] {
            alone.show(token).await.is_unavailable();
        }
        alone.http.get("/protected-route").await.misses_a_token(AUDIENCE);
        assert_eq!(alone.http.get("/optional").await.is(200), json!({"logged_in_as": null}));
        alone.http.get("/optional").bearer(&good).await.is_unavailable();
        assert_eq!(alone.ops.get("/health/ready").await.status, 503);
        assert_eq!(alone.ops.get("/health/live").await.status, 200);

        issuer.turn(Mode::Keys(vec![OTHER.jwk()]));
        alone.pass(COOLDOWN - Duration::from_millis(1));
        alone.show(&good).await.is_unavailable();
        assert_eq!(issuer.hits(), 1);
        alone.pass(Duration::from_millis(1));
        // The fetch needs no request to cause it.
        alone.is_ready().await;
        assert_eq!(issuer.hits(), 2);
        alone.show(&good).await.is(200);
        invalid(&alone.show(&unknown(1)).await);
        alone.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cool_down_is_a_setting() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let alone = Alone::ready(&issuer, &[("RESOURCE_JWKS_COOLDOWN", "1h")]).await;
    alone.pass(Duration::from_mins(4));
    invalid(&alone.show(&unknown(1)).await);
    assert_eq!(issuer.hits(), 1);
    alone.stop().await;
}

/// A JWKS client as a verifier with a stream uses it. It holds the issuer's first key set.
async fn client(issuer: &FakeIssuer, clock: &ManualClock) -> JwksClient {
    let timeout = Duration::from_secs(3);
    let client = JwksClient::new(&issuer.url(), Arc::new(clock.clone()), COOLDOWN, timeout).unwrap();
    client.refresh().await.unwrap();
    assert_eq!(issuer.hits(), 1);
    client
}

/// The version of the key set with these keys, as the issuer names it.
fn version(keys: &[Value]) -> String {
    b64(digest(&SHA256, json!({"keys": keys}).to_string().as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_that_was_announced_is_fetched_at_once_and_one_that_is_held_is_not() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let client = client(&issuer, &ManualClock::at(Timestamp::from_unix_seconds(BEGINNING))).await;
    client.announced(&version(&[OTHER.jwk()])).await.unwrap();
    assert_eq!(issuer.hits(), 1);
    // The cool-down of the first fetch still runs, but does not apply.
    let both = vec![OTHER.jwk(), THIEF.jwk()];
    issuer.turn(Mode::Keys(both.clone()));
    let fetched = client.announced(&version(&both)).await.unwrap();
    assert!(fetched.key(&THIEF.kid().parse().unwrap()).is_some());
    assert_eq!(issuer.hits(), 2);
    client.announced(&version(&both)).await.unwrap();
    assert_eq!(issuer.hits(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_does_not_bring_what_was_announced_cools_down() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let clock = ManualClock::at(Timestamp::from_unix_seconds(BEGINNING));
    let client = client(&issuer, &clock).await;
    let both = vec![OTHER.jwk(), THIEF.jwk()];
    for hits in [2, 2, 2] {
        drop(client.announced(&version(&both)).await);
        assert_eq!(issuer.hits(), hits);
    }
    issuer.turn(Mode::Status(500));
    for hits in [3, 4] {
        clock.advance(COOLDOWN - Duration::from_millis(1));
        drop(client.announced(&version(&both)).await);
        assert_eq!(issuer.hits(), hits - 1);
        clock.advance(Duration::from_millis(1));
        drop(client.announced(&version(&both)).await);
        assert_eq!(issuer.hits(), hits);
    }
    clock.advance(COOLDOWN);
    issuer.turn(Mode::Keys(both.clone()));
    assert!(client.announced(&version(&both)).await.unwrap().key(&THIEF.kid().parse().unwrap()).is_some());
    assert!(client.held().unwrap().key(&OTHER.kid().parse().unwrap()).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_keys_once_more_are_the_same_set() {
    let issuer = FakeIssuer::start(Mode::Keys(vec![OTHER.jwk()])).await;
    let clock = ManualClock::at(Timestamp::from_unix_seconds(BEGINNING));
    let client = client(&issuer, &clock).await;
    let held = client.held().unwrap();
    clock.advance(COOLDOWN);
    let again = client.refresh().await.unwrap();
    assert_eq!(issuer.hits(), 2);
    assert!(Arc::ptr_eq(&held, &again), "tokens that were verified with it stay verified");
}
