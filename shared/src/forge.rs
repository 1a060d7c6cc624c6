//! Makes tokens for this crate's tests, signed with a test key.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::{
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::verify::{AcceptedAudiences, Audience, Issuer, KeySet, PublicKey, Verifier};

/// The time in these tests, in seconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// A valid token with this `kid`, except for the claims in `change`.
pub(crate) fn signed(kid: &str, change: &Value) -> String {
    headed(&json!({ "kid": kid }), change)
}

/// A valid token, except for the header members in `header_change` and the claims in `change`.
pub(crate) fn headed(header_change: &Value, change: &Value) -> String {
    let mut header = json!({ "alg": "RS256", "typ": "at+jwt" });
    header.as_object_mut().unwrap().extend(header_change.as_object().unwrap().clone());
    let mut claims = json!({
        "iss": "http://issuer", "sub": "somebody", "aud": "documents", "exp": NOW + 60, "scope": "read write",
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let message = format!("{}.{}", encoded(&header), encoded(&claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    #[expect(clippy::disallowed_methods, reason = "PKCS #1 v1.5 signatures draw no randomness")]
    let random = aws_lc_rs::rand::SystemRandom::new();
    KEY.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Modulus of the test key.
pub(crate) fn modulus() -> Vec<u8> {
    KEY.public_key().modulus().big_endian_without_leading_zero().to_vec()
}

/// A key set with the test key under each of `kids`. Each call makes a new set.
pub(crate) fn keys(kids: &[&str]) -> Arc<KeySet> {
    let public = || PublicKey::from_modulus(&modulus());
    Arc::new(kids.iter().map(|kid| (kid.parse().unwrap(), public().unwrap())).collect())
}

/// A verifier that accepts these tokens.
pub(crate) fn verifier() -> Verifier {
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new("documents")]);
    Verifier::new(Issuer::new("http://issuer"), audiences)
}
