use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::*;

/// An odd modulus of that many bits. Nobody has its private key.
fn modulus(bits: usize) -> String {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    URL_SAFE_NO_PAD.encode(modulus)
}

fn rsa() -> Value {
    json!({"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": modulus(2048), "e": "AQAB"})
}

fn ec() -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
    json!({"kty": "EC", "crv": "P-256", "kid": "e", "x": x, "y": y})
}

fn with(mut key: Value, member: &str, value: impl Into<Value>) -> Value {
    key[member] = value.into();
    key
}

fn without(mut key: Value, member: &str) -> Value {
    key.as_object_mut().unwrap().remove(member);
    key
}

fn read(keys: &[Value]) -> Result<String, InvalidClientKeys> {
    public_keys(&json!({ "keys": keys }).to_string())
}

#[test]
fn the_public_members_of_usable_keys_are_kept_and_nothing_else() {
    let (rsa, ec) = (rsa(), ec());
    let more = with(with(rsa.clone(), "x5c", json!(["certificate"])), "note", "a secret");
    let foreign = json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"});
    let kept = read(&[more, foreign, ec.clone()]).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), json!({"keys": [rsa, ec]}));
    assert_eq!(public_keys(&kept).unwrap(), kept, "what is kept stays as it is");
    assert!(serde_json::from_str::<jsonwebtoken::jwk::JwkSet>(&kept).is_ok());
}

#[test]
fn private_and_symmetric_keys_are_refused_wherever_they_stand_and_the_member_is_named() {
    for key in
        [rsa(), ec(), json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), json!({"kty": "AKP"}), json!({})]
    {
        for member in PRIVATE {
            for value in [json!("AQAB"), json!(null), json!([]), json!("")] {
                let private = with(key.clone(), member, value);
                let error = InvalidClientKeys::Private(2, member);
                assert_eq!(read(&[rsa(), private.clone(), ec()]), Err(error), "{private}");
                // Alone, it stands where the set should.
                assert_eq!(public_keys(&private.to_string()), Err(InvalidClientKeys::Private(1, member)));
            }
        }
        let symmetric = with(key, "k", "c2VjcmV0");
        assert_eq!(read(&[symmetric]), Err(InvalidClientKeys::Symmetric(1, "member \"k\"")));
    }
    for kty in ["oct", "OCT", "Oct"] {
        let error = InvalidClientKeys::Symmetric(1, "kty \"oct\"");
        assert_eq!(read(&[json!({"kty": kty}), rsa()]), Err(error));
    }
    let message = read(&[with(rsa(), "d", "hunter2")]).unwrap_err().to_string();
    assert!(
        message.contains("key 1") && message.contains("\"d\"") && !message.contains("hunter2"),
        "{message}"
    );
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let fixture = include_str!("../../../../tests/fixtures/roca_keys.json");
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let roca = fixture["vectors"].as_array().unwrap().iter().map(|vector| vector["jwk"].clone());
    let even = {
        let mut modulus = [0xff; 256];
        modulus[255] = 0xfe;
        URL_SAFE_NO_PAD.encode(modulus)
    };
    let rsa_keys = [
        ("n", json!(modulus(512))),
        ("n", json!(modulus(1024))),
        ("n", json!(modulus(2047))),
        ("n", json!(modulus(8193))),
        ("n", json!(even)),
        ("n", json!("")),
        ("n", json!(null)),
        ("n", json!(1)),
        ("n", json!(format!("{}==", modulus(2048)))),
        ("n", json!("!")),
        ("e", json!("AQ")),
        ("e", json!("Aw")),
        ("e", json!("EQ")),
        ("e", json!("AAEAAQ")),
        ("e", json!("AQAB=")),
        ("e", json!("")),
        ("e", json!(65_537)),
        ("e", json!(null)),
    ];
    let rsa_keys = rsa_keys.map(|(member, value)| with(rsa(), member, value));
    for key in roca.chain(rsa_keys).chain(["n", "e"].map(|member| without(rsa(), member))) {
        assert_eq!(read(&[rsa(), key.clone()]), Err(InvalidClientKeys::Unusable(2, WEAK_RSA)), "{key}");
    }
    let zeros = URL_SAFE_NO_PAD.encode([0; 32]);
    let other = ec()["y"].clone();
    let ec_keys = [
        with(ec(), "x", json!(zeros)),
        with(ec(), "y", other),
        with(ec(), "y", json!("")),
        with(ec(), "x", json!(null)),
        with(ec(), "x", json!("AA")),
        without(ec(), "x"),
        without(ec(), "y"),
    ];
    for key in ec_keys {
        assert_eq!(
            read(std::slice::from_ref(&key)),
            Err(InvalidClientKeys::Unusable(1, NOT_ON_CURVE)),
            "{key}"
        );
    }
    for entry in [json!(null), json!("key"), json!([rsa()]), json!(1)] {
        assert_eq!(read(&[entry]), Err(InvalidClientKeys::Unusable(1, "it is no object")));
    }
}

#[test]
fn a_set_without_a_usable_key_is_refused() {
    for keys in [
        vec![],
        vec![json!({})],
        vec![json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})],
        vec![with(rsa(), "alg", "RS512")],
        vec![with(rsa(), "alg", "HS256")],
        vec![with(rsa(), "use", "enc")],
        vec![with(rsa(), "key_ops", json!(["sign"]))],
        vec![with(rsa(), "kid", 1)],
        vec![with(ec(), "crv", "P-384")],
        vec![with(rsa(), "kty", "rsa")],
    ] {
        assert_eq!(read(&keys), Err(InvalidClientKeys::NoKey), "{keys:?}");
    }
    let not_sets =
        ["", "{", "[]", "null", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, "-----BEGIN PUBLIC KEY-----"];
    for text in not_sets.map(str::to_owned).into_iter().chain([rsa().to_string()]) {
        assert_eq!(public_keys(&text), Err(InvalidClientKeys::NoSet), "{text}");
    }
}
