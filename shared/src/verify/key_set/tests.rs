use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use serde_json::json;

use super::*;

/// A modulus of exactly `bits` bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    modulus
}

fn kid(text: &str) -> Kid {
    text.parse().unwrap()
}

fn entry(kid: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n(&modulus(2048)), "e": "AQAB"})
}

fn n(modulus: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(modulus)
}

fn with(mut entry: Value, member: &str, value: Value) -> Value {
    entry[member] = value;
    entry
}

fn read(keys: &[Value]) -> Result<KeySet, InvalidKeySet> {
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes())
}

#[test]
fn a_key_has_2048_to_8192_bits() {
    for (bits, is_usable) in
        [(8, false), (2047, false), (2048, true), (4096, true), (8192, true), (8193, false)]
    {
        assert_eq!(PublicKey::from_modulus(&modulus(bits)).is_some(), is_usable, "{bits} bits");
    }
    let padded = [vec![0; 3], modulus(2048)].concat();
    let key = PublicKey::from_modulus(&padded).unwrap();
    assert_eq!(format!("{key:?}"), "PublicKey(2048 bits)");
    assert!(PublicKey::from_modulus(&[0; 256]).is_none());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "PKCS #1 v1.5 signatures draw no randomness; the interface asks for it"
)]
fn a_key_verifies_its_own_signatures_alone() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let own = PublicKey::from_modulus(pair.public_key().modulus().big_endian_without_leading_zero()).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"message", &mut signature).unwrap();
    assert!(own.verifies(b"message", &signature));
    assert!(!own.verifies(b"another message", &signature));
    assert!(!PublicKey::from_modulus(&modulus(2048)).unwrap().verifies(b"message", &signature));
}

#[test]
fn an_entry_with_fewer_members_is_accepted() {
    let mut plain = entry("a");
    for member in ["use", "alg"] {
        plain.as_object_mut().unwrap().remove(member);
    }
    let verifies = with(entry("b"), "key_ops", json!(["encrypt", "verify"]));
    let set = read(&[plain, verifies]).unwrap();
    assert_eq!((set.len(), set.is_empty()), (2, false));
    assert!(set.key(&kid("a")).is_some() && set.key(&kid("b")).is_some() && set.key(&kid("c")).is_none());
}

#[test]
fn an_entry_that_can_not_be_used_is_skipped_and_the_rest_works() {
    for (member, value) in [
        ("kty", json!("oct")),
        ("kty", json!(1)),
        ("use", json!("enc")),
        ("alg", json!("RS512")),
        ("alg", json!("none")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("e", json!("Aw")),
        ("e", json!("AQAB=")),
        ("n", json!(n(&modulus(1024)))),
        ("n", json!("not base64url")),
        ("n", Value::Null),
        ("d", json!("whatever")),
        ("kid", Value::Null),
        ("kid", json!("")),
        ("kid", json!("k".repeat(256))),
    ] {
        let unusable = with(entry("unusable"), member, value);
        let set = read(&[json!("no entry"), unusable.clone(), entry("usable")]).unwrap();
        assert_eq!(set.keys.keys().map(Kid::as_str).collect::<Vec<_>>(), ["usable"], "{unusable}");
        assert_eq!(read(&[unusable]).unwrap_err(), InvalidKeySet::Empty);
    }
    assert_eq!(read(&[entry(&"k".repeat(255))]).unwrap().len(), 1);
}

#[test]
fn two_keys_under_one_name_are_both_left_out_and_one_key_twice_is_one() {
    let other = with(entry("a"), "n", json!(n(&modulus(2049))));
    assert_eq!(read(&[entry("a"), other.clone()]).unwrap_err(), InvalidKeySet::Empty);
    assert_eq!(read(&[entry("a"), other, entry("a"), entry("b")]).unwrap().len(), 1);
    assert_eq!(read(&[entry("a"), entry("a")]).unwrap().len(), 1);
}

#[test]
fn what_is_no_set_is_refused() {
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]"#] {
        assert_eq!(KeySet::from_json(text.as_bytes()).unwrap_err(), InvalidKeySet::Json, "{text}");
    }
    assert_eq!(read(&[]).unwrap_err(), InvalidKeySet::Empty);
}

#[test]
fn a_set_that_was_read_has_a_version_and_its_text() {
    let text = json!({"keys": [entry("a")]}).to_string();
    let set = KeySet::from_json(text.as_bytes()).unwrap();
    assert_eq!(set.json(), Some(&*text));
    assert_eq!(set.version(), Some(&*URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))));
    let made: KeySet = [(kid("a"), set.key(&kid("a")).unwrap().clone())].into_iter().collect();
    assert_eq!((made.json(), made.version(), made.len()), (None, None, 1));
    assert!(KeySet::default().is_empty());
    assert_ne!(made.epoch(), set.epoch());
    assert_eq!(set.clone().epoch(), set.epoch());
}

#[test]
fn a_key_of_the_faulty_library_is_skipped_though_its_signatures_are_right() {
    let text = include_str!("../../../../tests/fixtures/roca_keys.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    for vector in vectors["vectors"].as_array().unwrap() {
        let jwk = &vector["jwk"];
        assert_eq!(read(std::slice::from_ref(jwk)).unwrap_err(), InvalidKeySet::Empty);
        assert_eq!(read(&[jwk.clone(), entry("usable")]).unwrap().len(), 1);
        let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
        let components = RsaPublicKeyComponents { n: &modulus[..], e: &EXPONENT[..] };
        let (message, signature) = vector["jws"].as_str().unwrap().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(components.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok());
    }
}
