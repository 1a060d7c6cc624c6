use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    forge::{NOW, keys, signed},
    verify::Opaque,
};

const fn date(seconds: i64) -> NumericDate {
    NumericDate::from_unix_seconds(seconds)
}

fn entry(revocation: Revocation, expires_at: Option<i64>) -> Entry {
    Entry { revocation, expires_at: expires_at.map(date) }
}

fn opaque(text: &str) -> Opaque {
    text.parse().unwrap()
}

fn is_revoked(set: &RevocationSet, change: &serde_json::Value) -> bool {
    set.revokes(&Signed::read(&signed("kid", change), &keys(&["kid"])).unwrap())
}

#[test]
fn each_kind_of_entry_matches_its_own_tokens_and_no_others() {
    let claims = json!({
        "jti": "a", "sid": "b", "client_id": "c", "sub": "d", "iat": NOW,
    });
    for (revocation, matches) in [
        (Revocation::Token(opaque("a")), true),
        (Revocation::Session(opaque("b")), true),
        (Revocation::Client(opaque("c"), date(NOW)), true),
        (Revocation::Client(opaque("c"), date(NOW - 1)), false),
        (Revocation::Account(opaque("d"), date(NOW)), true),
        (Revocation::Account(opaque("d"), date(NOW - 1)), false),
        (Revocation::Key("kid".parse().unwrap()), true),
        (Revocation::Everything(date(NOW)), true),
        (Revocation::Everything(date(NOW - 1)), false),
        // The same texts as subjects of another kind.
        (Revocation::Token(opaque("b")), false),
        (Revocation::Session(opaque("a")), false),
        (Revocation::Client(opaque("d"), date(NOW)), false),
        (Revocation::Account(opaque("c"), date(NOW)), false),
        (Revocation::Key("other".parse().unwrap()), false),
    ] {
        let mut set = RevocationSet::default();
        set.add(revocation.clone());
        assert_eq!(is_revoked(&set, &claims), matches, "{revocation:?}");
        set.forget(&revocation);
        assert!(set.is_empty() && !is_revoked(&set, &claims), "{revocation:?}");
    }
}

#[test]
fn a_token_that_does_not_say_when_it_was_minted_is_matched_by_every_instant() {
    let mut set = RevocationSet::default();
    set.add(Revocation::Account(opaque("somebody"), date(1)));
    assert!(is_revoked(&set, &json!({})));
    assert!(!is_revoked(&set, &json!({ "iat": NOW })));
}

#[test]
fn of_two_entries_for_one_subject_the_later_holds_in_each_respect() {
    let revocations = Revocations::default();
    let account = |at| Revocation::Account(opaque("somebody"), date(at));
    revocations.extend([entry(account(NOW), Some(NOW + 10)), entry(account(NOW - 50), Some(NOW + 60))]);
    let holds = || revocations.read(|set| is_revoked(set, &json!({ "iat": NOW })));
    let forget = |at: i64| revocations.forget_expired(Timestamp::from_unix_seconds(at), Duration::ZERO);
    forget(NOW + 59);
    assert!(holds());
    revocations.change(|set| set.forget(&account(NOW - 50)));
    assert!(holds(), "a later one stays");
    forget(NOW + 60);
    assert!(!holds());
}

#[test]
fn keys_and_what_has_no_end_are_never_forgotten() {
    let revocations = Revocations::default();
    revocations.extend([
        entry(Revocation::Key("kid".parse().unwrap()), None),
        entry(Revocation::Session(opaque("session")), None),
        entry(Revocation::Everything(date(NOW)), Some(NOW)),
    ]);
    revocations.forget_expired(Timestamp::from_unix_millis(i64::MAX), Duration::ZERO);
    assert_eq!(revocations.read(RevocationSet::len), 3);
}

/// Compares the set with a simple model, over histories of adding, forgetting and passing time.
#[test]
fn the_set_agrees_with_a_simple_one() {
    for seed in 1..=50_u64 {
        let mut random = seed;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        let revocations = Revocations::default();
        let mut simple = BTreeMap::<String, (i64, i64)>::new();
        for _ in 0..200 {
            let subject = format!("subject {}", below(20));
            let seconds = i64::try_from(below(1_000)).unwrap();
            if below(10) == 0 {
                revocations.forget_expired(Timestamp::from_unix_seconds(seconds), Duration::from_secs(5));
                simple.retain(|_, (_, expires_at)| *expires_at > seconds - 5);
            } else {
                let expires_at = seconds + 100;
                let revocation = Revocation::Account(opaque(&subject), date(seconds));
                revocations.extend([entry(revocation, Some(expires_at))]);
                let held = simple.entry(subject).or_insert((seconds, expires_at));
                *held = (held.0.max(seconds), held.1.max(expires_at));
            }
        }
        for number in 0..20 {
            let subject = format!("subject {number}");
            let held = revocations.read(|set| set.revoked_up_to(&subject, "nobody"));
            assert_eq!(held, simple.get(&subject).map(|(at, _)| date(*at)), "seed {seed}, {subject}");
        }
        assert_eq!(revocations.read(RevocationSet::len), simple.len(), "seed {seed}");
    }
}
