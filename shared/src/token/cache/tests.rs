use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    forge::{NOW, keys, signed, verifier},
    revocation::Revocation,
    token::{AcceptedAudiences, Audience, Issuer, claims::NumericDate},
};

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

/// How many tokens are held.
fn held(cache: &TokenCache) -> usize {
    cache
        .shards
        .iter()
        .map(|shard| shard.lock().unwrap())
        .map(|shard| shard.young.len() + shard.old.len())
        .sum()
}

/// How many bytes they are held to take, in maps of any age.
fn held_bytes(cache: &TokenCache) -> usize {
    let bytes = |generation: &Generation| generation.values().map(|held| held.bytes).sum::<usize>();
    cache
        .shards
        .iter()
        .map(|shard| shard.lock().unwrap())
        .map(|shard| bytes(&shard.young) + bytes(&shard.old))
        .sum()
}

/// A believed token that says nothing of itself but its number, to fill a cache with.
fn numbered(number: u128, keys: &KeySet) -> (String, Signed) {
    let token = signed("1", &json!({}));
    let read = Signed::read(&token, keys).unwrap();
    // The signature's end is what differs; nobody looks at it once more.
    (format!("{}{number:016}", &token[..token.len() - 16]), read)
}

#[test]
fn a_token_that_was_believed_is_not_proven_again() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    let token = signed("1", &json!({}));
    let first = cache.verify_any_age(&verifier(), &token, &keys, &revocations, now());
    let again =
        cache.verify(&verifier(), &token, keys.epoch(), &revocations, now(), || panic!("proven again"));
    assert_eq!(first, again);
    assert!(matches!(first, Ok(AnyAge::Live(_))));
}

#[test]
fn everything_but_the_signature_is_judged_each_time() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    let token = signed("1", &json!({ "sid": "session", "nbf": NOW - 10 }));
    let judged = |verifier: &Verifier, at: i64| {
        let at = Timestamp::from_unix_seconds(at);
        cache.verify_any_age(verifier, &token, &keys, &revocations, at)
    };
    assert!(matches!(judged(&verifier(), NOW), Ok(AnyAge::Live(_))));
    assert!(matches!(judged(&verifier(), NOW + 59), Ok(AnyAge::Live(_))));
    assert!(matches!(judged(&verifier(), NOW + 60), Ok(AnyAge::Expired(_))));
    assert_eq!(judged(&verifier(), NOW - 11), Err(TokenError::NotYetValid));
    let others = AcceptedAudiences::AnyOf(vec![Audience::new("others")]);
    assert_eq!(judged(&Verifier::new(Issuer::new("http://issuer"), others), NOW), Err(TokenError::Audience));
    let elsewhere = Verifier::new(Issuer::new("http://elsewhere"), AcceptedAudiences::Any);
    assert_eq!(judged(&elsewhere, NOW), Err(TokenError::Issuer));
    revocations.change(|set| set.add(Revocation::Session("session".parse().unwrap())));
    assert_eq!(judged(&verifier(), NOW), Err(TokenError::Revoked));
}

#[test]
fn only_believed_tokens_get_in() {
    let (cache, keys, revocations) = (TokenCache::default(), keys(&["1"]), Revocations::default());
    revocations.change(|set| set.add(Revocation::Token("revoked".parse().unwrap())));
    let good = signed("1", &json!({}));
    for (token, error) in [
        // No good one ends so: those bits have to be unused.
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
    let judged = cache.verify_any_age(&verifier(), &expired, &keys, &revocations, now());
    assert!(matches!(judged, Ok(AnyAge::Expired(_))));
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
    let judged = cache.verify_any_age(&verifier(), &forged, &keys, &revocations, now());
    assert_eq!(judged, Err(TokenError::Signature));
}

#[test]
fn another_key_set_proves_every_token_anew() {
    let (cache, revocations) = (TokenCache::default(), Revocations::default());
    let token = signed("1", &json!({}));
    let (first, gone) = (keys(&["1"]), keys(&["2"]));
    cache.verify_any_age(&verifier(), &token, &first, &revocations, now()).unwrap();
    let judged = cache.verify_any_age(&verifier(), &token, &gone, &revocations, now());
    assert_eq!(judged, Err(TokenError::UnknownKey));
}

#[test]
fn what_was_held_by_other_revocations_is_looked_for_in_these() {
    let (cache, keys) = (TokenCache::default(), keys(&["1"]));
    let token = signed("1", &json!({}));
    let (empty, other) = (Revocations::default(), Revocations::default());
    other.change(|set| set.add(Revocation::Everything(NumericDate::from_unix_seconds(0))));
    cache.verify_any_age(&verifier(), &token, &keys, &empty, now()).unwrap();
    let judged = cache.verify_any_age(&verifier(), &token, &keys, &other, now());
    assert_eq!(judged, Err(TokenError::Revoked));
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

#[test]
fn without_room_it_remembers_nothing() {
    let (cache, keys, revocations) = (TokenCache::new(0), keys(&["1"]), Revocations::default());
    cache.verify_any_age(&verifier(), &signed("1", &json!({})), &keys, &revocations, now()).unwrap();
    assert_eq!(held(&cache), 0);
}

#[test]
fn a_forgotten_revocation_takes_no_effect_on_what_lives() {
    let revocations = Revocations::default();
    let expires_at = Some(NumericDate::from_unix_seconds(NOW));
    let revocation = Revocation::Session("session".parse().unwrap());
    revocations.change(|set| set.add(crate::revocation::Entry { revocation, expires_at }));
    revocations.forget_expired(now().before(Duration::from_secs(1)), Duration::ZERO);
    assert_eq!(revocations.read(crate::revocation::RevocationSet::len), 1);
    revocations.forget_expired(now(), Duration::from_secs(1));
    assert_eq!(revocations.read(crate::revocation::RevocationSet::len), 1);
    revocations.forget_expired(now(), Duration::ZERO);
    assert!(revocations.read(crate::revocation::RevocationSet::is_empty));
}
