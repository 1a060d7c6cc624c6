use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;
use crate::{
    forge::{self, NOW, signed},
    verify::{Entry, NumericDate, Revocation, Signed},
};

const SECRET: &str = "a secret of thirty-two characters";

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn issuer() -> Issuer {
    Issuer::new("http://issuer")
}

fn audience() -> Audience {
    Audience::new("documents")
}

fn key_set() -> KeySet {
    let modulus = URL_SAFE_NO_PAD.encode(forge::modulus());
    let jwk = json!({ "kty": "RSA", "n": modulus, "e": "AQAB", "kid": "1" });
    KeySet::from_json(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
}

const POSITION: Position =
    Position { log_id: LogId::new([7; 16]), seq: Seq::new(1_003), tag: Tag::new([8; 16]) };

fn bundle() -> Bundle {
    let mut revocations = RevocationSet::default();
    let at = NumericDate::from_unix_seconds(NOW);
    for number in 0..1_000 {
        let revocation = Revocation::Session(format!("session {number}").parse().unwrap());
        revocations.add(Entry { revocation, expires_at: Some(at) });
    }
    revocations.add(Revocation::Account("account".parse().unwrap(), at));
    revocations.add(Revocation::Key("gone".parse().unwrap()));
    revocations.add(Revocation::Everything(NumericDate::from_unix_seconds(NOW - 1_000)));
    Bundle {
        issuer: issuer(),
        audience: audience(),
        position: POSITION,
        proven: Some(ProvenPosition { position: POSITION, proof: [9; 32] }),
        heard_at: now(),
        expires_at: now().after(Duration::from_hours(24)),
        keys: key_set(),
        revocations,
    }
}

fn open(bytes: &[u8]) -> Result<Bundle, InvalidBundle> {
    Bundle::open(bytes, &BundleKey::derived_from(SECRET), (&issuer(), &audience()), now())
}

#[test]
fn a_bundle_comes_back_as_it_went() {
    let sealed = bundle().seal(&BundleKey::derived_from(SECRET));
    let opened = open(&sealed).unwrap();
    assert_eq!(opened.position, bundle().position);
    assert_eq!((opened.heard_at, opened.expires_at), (bundle().heard_at, bundle().expires_at));
    assert_eq!(opened.keys.version(), bundle().keys.version());
    assert_eq!(opened.revocations.len(), 1_003);
    let revokes = |change| {
        let token = Signed::read(&signed("1", &change), &opened.keys).unwrap();
        opened.revocations.revokes(&token)
    };
    assert!(revokes(json!({ "iat": NOW, "sid": "session 999" })));
    assert!(revokes(json!({ "iat": NOW, "sub": "account" })));
    assert!(!revokes(json!({ "iat": NOW + 1, "sub": "account" })));
    assert!(revokes(json!({ "iat": NOW - 1_000 })));
    assert!(!revokes(json!({ "iat": NOW, "sid": "session 1000" })));
}

#[test]
fn what_is_not_of_this_client_or_damaged_is_refused() {
    let sealed = bundle().seal(&BundleKey::derived_from(SECRET));
    let forged = |bytes: &[u8]| assert_eq!(open(bytes).map(drop), Err(InvalidBundle::Forged));
    forged(&bundle().seal(&BundleKey::derived_from("another secret of that length, say")));
    forged(&[]);
    forged(b"tessera verifier bundle 1\n");
    for length in [1, 31, 32, 33, sealed.len() / 2, sealed.len() - 1] {
        forged(&sealed[..length]);
    }
    for place in (0..sealed.len()).step_by(97).chain([sealed.len() - 1]) {
        let mut damaged = sealed.clone();
        damaged[place] ^= 1;
        forged(&damaged);
    }
    forged(&[&sealed[..], &[0]].concat());
}

#[test]
fn another_issuers_another_audiences_and_an_old_one_are_refused() {
    let key = BundleKey::derived_from(SECRET);
    let sealed = bundle().seal(&key);
    let opened = |issuer: &str, audience: &str, at: Timestamp| {
        let whose = (&Issuer::new(issuer), &Audience::new(audience));
        Bundle::open(&sealed, &key, whose, at).map(drop)
    };
    let expiry = now().after(Duration::from_hours(24));
    assert_eq!(opened("http://issuer/", "documents", now()), Err(InvalidBundle::Foreign));
    assert_eq!(opened("http://issuer", "other", now()), Err(InvalidBundle::Foreign));
    assert_eq!(opened("http://issuer", "documents", expiry.before(Duration::from_millis(1))), Ok(()));
    assert_eq!(opened("http://issuer", "documents", expiry), Err(InvalidBundle::Expired));
    assert_eq!(opened("http://issuer", "documents", now().before(Duration::from_mins(1))), Ok(()));
    let earlier = now().before(Duration::from_secs(61));
    assert_eq!(opened("http://issuer", "documents", earlier), Err(InvalidBundle::Ahead));
}

#[test]
fn an_authentic_file_of_another_format_is_refused() {
    let key = BundleKey::derived_from(SECRET);
    for content in [&b"tessera verifier bundle 2\n"[..], MAGIC, &[MAGIC, &[0, 0, 0, 9]].concat()] {
        let tag = hmac::sign(&key.0, content);
        let opened = open(&[content, tag.as_ref()].concat()).map(drop);
        assert_eq!(opened, Err(InvalidBundle::Format));
    }
}
