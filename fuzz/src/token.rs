//! Access tokens.
//!
//! An input without a line end is a token. A tilde at its end is replaced by a valid signature, so that the checks
//! behind the signature are reached, too. An input with a line end is a header and, from the second line on, a
//! payload. Both are encoded and signed.

use std::{fmt::Write as _, sync::LazyLock};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::{
    clock::Timestamp,
    verify::{
        AcceptedAudiences, Audience, Claims, Issuer, KeySet, MAX_TOKEN_BYTES, PublicKey, Revocations,
        TokenError, Verifier,
    },
};
use serde_json::Value;

/// The instant of verification, in seconds since 1970.
pub const NOW: i64 = 1_800_000_000;

const ISSUER: &str = "http://auth.test";
const AUDIENCE: &str = "resource-service";
const HEADER: &str = r#"{"alg":"RS256","typ":"at+jwt","kid":"key"}"#;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).expect("a key"));

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let modulus = KEY.public_key().modulus().big_endian_without_leading_zero();
    [("key".parse().expect("a short name"), PublicKey::from_modulus(modulus).expect("a key of 2048 bits"))]
        .into_iter()
        .collect()
});

/// Verifies the token that `input` describes.
pub fn verify(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return verify_token(&String::from_utf8_lossy(input));
    };
    match text.split_once('\n') {
        Some((header, payload)) => verify_token(&signed(&message(header, payload))),
        None => match text.strip_suffix(".~").filter(|message| message.len() <= MAX_TOKEN_BYTES) {
            Some(message) => verify_token(&signed(message)),
            None => verify_token(text),
        },
    }
}

fn verify_token(token: &str) {
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new(AUDIENCE)]);
    let verifier = Verifier::new(Issuer::new(ISSUER), audiences);
    let (revocations, now) = (Revocations::default(), Timestamp::from_unix_seconds(NOW));
    match verifier.verify(token, &KEYS, &revocations, now) {
        Err(error) => {
            assert!(error.public_message().starts_with("The token ") || error == TokenError::RefreshToken);
        }
        Ok(accepted) => {
            let claims = accepted.claims();
            holds(token, claims);
            // Accepted claims must stay the same when they are encoded and verified again.
            let again = message(HEADER, &serde_json::to_string(claims).expect("claims are JSON"));
            let again = signed(&again);
            if again.len() <= MAX_TOKEN_BYTES {
                let reread = verifier.verify(&again, &KEYS, &revocations, now).expect("it was accepted");
                assert_eq!(reread.claims(), claims);
            }
        }
    }
}

/// Checks the properties of an accepted token, using only a plain JSON parser.
fn holds(token: &str, claims: &Claims) {
    assert!(token.len() <= MAX_TOKEN_BYTES);
    let segments: Vec<_> = token.split('.').collect();
    let [header, payload, _] = segments[..] else { panic!("not three segments") };
    let read = |segment: &str| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(segment).expect("base64url");
        assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), segment, "a second spelling");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let (header, payload) = (read(header), read(payload));
    assert_eq!((&header["alg"], &header["kid"]), (&Value::from("RS256"), &Value::from("key")));
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    assert!(header["typ"].as_str().is_some_and(|typ| typ.to_ascii_lowercase().ends_with("at+jwt")));
    assert_eq!(payload["iss"], ISSUER);
    let is_ours = |audience: &Value| audience == AUDIENCE;
    assert!(is_ours(&payload["aud"]) || payload["aud"].as_array().is_some_and(|all| all.iter().any(is_ours)));
    assert_eq!(payload["sub"], claims.sub.as_str());
    let is_past = |claim: &str, bound: f64| payload[claim].as_f64().is_none_or(|at| at < bound);
    assert!(!is_past("exp", 1_800_000_001.0), "it was dead");
    assert!(is_past("nbf", 1_800_000_001.0) && is_past("iat", 1_800_000_061.0), "it was not valid yet");
}

fn message(header: &str, payload: &str) -> String {
    let mut message = URL_SAFE_NO_PAD.encode(header);
    message.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut message);
    message
}

fn signed(message: &str) -> String {
    let mut signature = vec![0; KEY.public_modulus_len()];
    #[expect(clippy::disallowed_methods, reason = "PKCS #1 v1.5 signatures draw no randomness")]
    let random = SystemRandom::new();
    KEY.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("a signature");
    let mut token = message.to_owned();
    write!(token, ".{}", URL_SAFE_NO_PAD.encode(signature)).expect("a string takes all");
    token
}
