use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    forge::{NOW, keys, signed, verifier},
    verify::{AcceptedAudiences, Audience, Issuer, Revocation, claims::NumericDate},
};

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

/// Number of cached tokens.
fn held(cache: &TokenCache) -> usize {
    cache
        .shards
        .iter()
        .map(|shard| shard.lock().unwrap())
        .map(|shard| shard.young.len() + shard.old.len())
        .sum()
}

/// Estimated bytes of the cached tokens, in both generations.
fn held_bytes(cache: &TokenCache) -> usize {
    let bytes = |generation: &Generation| generation.values().map(|held| held.bytes).sum::<usize>();
    cache
        .shards
        .iter()
        .map(|shard| shard.lock().unwrap())
        .map(|shard| bytes(&shard.young) + bytes(&shard.old))
        .sum()
}

/// A valid token that differs from others only in `number`. It fills a cache.
fn numbered(number: u128, keys: &KeySet) -> (String, Signed) {
    let token = signed("1", &json!({}));
    let read = Signed::read(&token, keys).unwrap();
    // Only the end of the signature differs. The cache does not verify the signature again.
    (format!("{}{number:016}", &token[..token.len() - 16]), read)
}

#[test]
fn a_verified_token_is_not_verified_again() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    let token = signed("1", &json!({}));
    let first = cache.verify_any_age(&verifier(), &token, &keys, &revocations, now());
    let again =
        cache.verify(&verifier(), &token, keys.epoch(), &revocations, now(), || panic!("verified again"));
    assert_eq!(first, again);
    assert!(matches!(first, Ok(AnyAge::Live(_))));
}

#[test]
fn everything_but_the_signature_is_checked_each_time() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    let token = signed("1", &json!({ "sid": "session", "nbf": NOW - 10 }));
    let verdict = |verifier: &Verifier, at: i64| {
        let at = Timestamp::from_unix_seconds(at);
        cache.verify_any_age(verifier, &token, &keys, &revocations, at)
    };
    assert!(matches!(verdict(&verifier(), NOW), Ok(AnyAge::Live(_))));
    assert!(matches!(verdict(&verifier(), NOW + 59), Ok(AnyAge::Live(_))));
    assert!(matches!(verdict(&verifier(), NOW + 60), Ok(AnyAge::Expired(_))));
    assert_eq!(verdict(&verifier(), NOW - 11), Err(TokenError::NotYetValid));
    let others = AcceptedAudiences::AnyOf(vec![Audience::new("others")]);
    assert_eq!(verdict(&Verifier::new(Issuer::new("http://issuer"), others), NOW), Err(TokenError::Audience));
    let elsewhere = Verifier::new(Issuer::new("http://elsewhere"), AcceptedAudiences::Any);
    assert_eq!(verdict(&elsewhere, NOW), Err(TokenError::Issuer));
    revocations.change(|set| set.add(Revocation::Session("session".parse().unwrap())));
    for _ in 0..3 {
        assert_eq!(verdict(&verifier(), NOW), Err(TokenError::Revoked));
    }
}

#[test]
fn only_accepted_tokens_get_in() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    revocations.change(|set| set.add(Revocation::Token("revoked".parse().unwrap())));
    let good = signed("1", &json!({}));
    for (token, error) in [
        // A valid token never ends like this: base64url requires these bits to be zero.
        (format!("{}B", &good[..good.len() - 1]), None),
        (signed("2", &json!({})), Some(TokenError::UnknownKey)),
        (signed("1", &json!({ "aud": "others" })), Some(TokenError::Audience)),
        (signed("1", &json!({ "nbf": NOW + 1 })), Some(TokenError::NotYetValid)),
        (signed("1", &json!({ "jti": "revoked" })), Some(TokenError::Revoked)),
    ] {
        let refused = cache.verify_any_age(&verifier(), &token, &keys, &revocations, now()).unwrap_err();
        assert!(error.is_none_or(|error| error == refused), "{refused}");
    }
    let expired = signed("1", &json!({ "exp": NOW }));
    let verdict = cache.verify_any_age(&verifier(), &expired, &keys, &revocations, now());
    assert!(matches!(verdict, Ok(AnyAge::Expired(_))));
    assert_eq!(held(&cache), 0);
    cache.verify_any_age(&verifier(), &good, &keys, &revocations, now()).unwrap();
    assert_eq!(held(&cache), 1);
}

#[test]
fn a_token_with_the_signature_of_a_held_one_is_another() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    let good = signed("1", &json!({}));
    cache.verify_any_age(&verifier(), &good, &keys, &revocations, now()).unwrap();
    let admin = signed("1", &json!({ "sub": "admin" }));
    let forged = format!("{}.{}", admin.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    let verdict = cache.verify_any_age(&verifier(), &forged, &keys, &revocations, now());
    assert_eq!(verdict, Err(TokenError::Signature));
}

#[test]
fn another_key_set_proves_every_token_anew() {
    let (cache, revocations) = (TokenCache::default(), Revocations::default());
    let token = signed("1", &json!({}));
    let (first, gone) = (keys(&["1"]), keys(&["2"]));
    cache.verify_any_age(&verifier(), &token, &first, &revocations, now()).unwrap();
    let verdict = cache.verify_any_age(&verifier(), &token, &gone, &revocations, now());
    assert_eq!(verdict, Err(TokenError::UnknownKey));
}

#[test]
fn what_was_held_by_other_revocations_is_looked_for_in_these() {
    let (cache, keys) = (TokenCache::default(), keys(&["1"]));
    let token = signed("1", &json!({}));
    let (empty, other) = (Revocations::default(), Revocations::default());
    other.change(|set| set.add(Revocation::Everything(NumericDate::from_unix_seconds(0))));
    cache.verify_any_age(&verifier(), &token, &keys, &empty, now()).unwrap();
    let verdict = cache.verify_any_age(&verifier(), &token, &keys, &other, now());
    assert_eq!(verdict, Err(TokenError::Revoked));
}

#[test]
fn it_stays_within_its_bytes_and_keeps_what_is_used() {
    const BYTES: usize = 512 * 1024;
    let (cache, keys, revocations) = (TokenCache::new(BYTES), keys(&["1"]), Revocations::default());
    let verify = |(token, read): &(String, Signed)| {
        let mut is_new = false;
        let read = || {
            is_new = true;
            Ok(read.clone())
        };
        cache.verify(&verifier(), token, keys.epoch(), &revocations, now(), read).unwrap();
        is_new
    };
    let favourite = numbered(u128::from(u64::MAX), &keys);
    verify(&favourite);
    let (token, read) = numbered(0, &keys);
    for number in 0..2_000 {
        verify(&(format!("{}{number:016}", &token[..token.len() - 16]), read.clone()));
        assert!(!verify(&favourite), "forgotten after {number} others");
        assert!(held_bytes(&cache) <= BYTES);
    }
    assert!(held(&cache) > 100);
}

/// Whether each shard's byte counter equals the sum of its tokens' estimates.
fn counts_right(cache: &TokenCache) -> bool {
    cache.shards.iter().all(|shard| {
        let shard = shard.lock().unwrap();
        shard.young_bytes == shard.young.values().map(|held| held.bytes).sum::<usize>()
    })
}

#[test]
fn a_token_that_takes_the_place_of_itself_counts_once() {
    let (cache, revocations) = (TokenCache::default(), Revocations::default());
    let token = signed("1", &json!({}));
    for _ in 0..10 {
        cache.verify_any_age(&verifier(), &token, &keys(&["1"]), &revocations, now()).unwrap();
        assert_eq!(held(&cache), 1);
        assert!(counts_right(&cache));
    }
}

#[test]
fn a_generation_is_full_to_the_last_byte() {
    let keys = keys(&["1"]);
    let (token, read) = numbered(0, &keys);
    let same = |number: u8| {
        let held = Held::new(&token, keys.epoch(), read.clone());
        (Tail(u128::from(number)), Arc::new(held))
    };
    let each = same(0).1.bytes;
    let cache = TokenCache::new(4 * each * SHARDS * 2);
    let mut shard = Shard::default();
    for number in 0..4 {
        let (tail, held) = same(number);
        assert!(shard.insert(tail, held, &cache).is_empty());
        assert_eq!((shard.young.len(), shard.old.len()), (usize::from(number) + 1, 0));
    }
    let (tail, held) = same(4);
    shard.insert(tail, held, &cache);
    assert_eq!((shard.young.len(), shard.old.len(), shard.young_bytes), (1, 4, each));
}

#[test]
fn what_a_token_takes_is_known() {
    let words = |count: usize| (0..count).map(|number| format!("word-{number}")).collect::<Vec<_>>();
    let long = "x".repeat(1_500);
    let objects: Vec<_> = words(100).iter().map(|word| json!({ word: word })).collect();
    let mut cases = vec![json!({}), json!({ "aud": words(200) }), json!({ "scope": words(200).join(" ") })];
    cases.push(json!({ "custom": objects, "null": null, "true": true, "number": 1 }));
    cases.push(json!({ "custom": words(200) }));
    cases.push(words(200).into_iter().map(|word| (word.clone(), json!(word))).collect());
    cases.extend(["roles", "amr"].map(|list| json!({ list: words(200) })));
    cases.extend(["email", "csrf", "custom"].map(|text| json!({ text: &long })));
    cases.extend(["sub", "jti", "client_id", "sid"].map(|text| json!({ text: &long[..255] })));
    let verifier = Verifier::new(Issuer::new("http://issuer"), AcceptedAudiences::Any);
    let keys = keys(&["1"]);
    for claims in cases {
        let token = signed("1", &claims);
        let mut held = None;
        let taken = allocation_counter::measure(|| {
            held = Some(Arc::new(Held::new(&token, keys.epoch(), Signed::read(&token, &keys).unwrap())));
        });
        let held = held.unwrap();
        assert!(verifier.check(&held.signed, now(), || false).is_ok());
        let taken = usize::try_from(taken.bytes_current).unwrap();
        // The estimate also covers the slot in a map and the rounding of allocations.
        let most = taken * 8 / 5 + 512;
        assert!((taken + 64..most).contains(&held.bytes), "{} for {taken}: {claims}", held.bytes);
    }
}

#[test]
fn tokens_are_spread_by_every_bit_of_their_tails() {
    let tail = |bits: u128| {
        let mut folded = Folded::default();
        std::hash::Hash::hash(&Tail(bits), &mut folded);
        assert_eq!(folded.finish(), Tail(bits).folded());
        folded.finish()
    };
    let text = u128::from_le_bytes(*b"Zx3-abQ_0wE9kLmA");
    let changed: Vec<_> = (0..128).map(|bit| (tail(text) ^ tail(text ^ 1 << bit)).count_ones()).collect();
    assert!(changed.iter().all(|&bits| bits > 8), "{changed:?}");
    assert!((28 * 128..36 * 128).contains(&changed.iter().sum::<u32>()), "{changed:?}");
}

#[test]
fn it_is_shown_without_its_tokens() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    cache.verify_any_age(&verifier(), &signed("1", &json!({})), &keys, &revocations, now()).unwrap();
    // 16 MiB, in two generations of 16 shards.
    assert_eq!(format!("{cache:?}"), "TokenCache { generation_bytes: 524288, .. }");
}

#[test]
fn without_space_it_remembers_nothing() {
    let (cache, keys, revocations) = (TokenCache::new(0), keys(&["1"]), Revocations::default());
    cache.verify_any_age(&verifier(), &signed("1", &json!({})), &keys, &revocations, now()).unwrap();
    assert_eq!(held(&cache), 0);
}

#[test]
fn a_forgotten_revocation_takes_no_effect_on_what_lives() {
    let revocations = Revocations::default();
    let expires_at = Some(NumericDate::from_unix_seconds(NOW));
    let revocation = Revocation::Session("session".parse().unwrap());
    revocations.change(|set| set.add(crate::verify::Entry { revocation, expires_at }));
    revocations.forget_expired(now().before(Duration::from_secs(1)), Duration::ZERO);
    assert_eq!(revocations.read(crate::verify::RevocationSet::len), 1);
    revocations.forget_expired(now(), Duration::from_secs(1));
    assert_eq!(revocations.read(crate::verify::RevocationSet::len), 1);
    revocations.forget_expired(now(), Duration::ZERO);
    assert!(revocations.read(crate::verify::RevocationSet::is_empty));
}
