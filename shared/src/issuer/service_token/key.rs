//! The key of a client that signs instead of having a secret: an assertion of its own for each fetch (RFC 7523 §3).

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{clock::Timestamp, random::Random};

/// How long an assertion is good for, in seconds: enough for a slow network and clocks that differ a little.
const LIFETIME: i64 = 60;

/// A private key, RSA (`RS256`) or on the curve P-256 (`ES256`).
pub struct ClientKey(Key);

enum Key {
    Rsa(RsaKeyPair),
    Curve(EcdsaKeyPair),
}

/// What was given is no key that a client can sign with.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA or P-256 private key in PEM, PKCS#8 (BEGIN PRIVATE KEY)")]
pub struct InvalidKey;

crate::sentence::debug_is_sentence!(InvalidKey);

/// The claims of an assertion.
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl ClientKey {
    /// The key in that PEM file's text.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is none.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----").ok_or(InvalidKey)?;
        let (body, _) = rest.split_once("-----END PRIVATE KEY-----").ok_or(InvalidKey)?;
        let body: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|char| !char.is_ascii_whitespace()).collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| InvalidKey)?);
        if let Ok(key) = RsaKeyPair::from_pkcs8(&der) {
            return Ok(Self(Key::Rsa(key)));
        }
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
        key.map(|key| Self(Key::Curve(key))).map_err(|_| InvalidKey)
    }

    /// An assertion that this is `client_id`, for `issuer`, used once. `None` when there is no randomness, or the library
    /// fails.
    pub(super) fn assert(
        &self,
        client_id: &str,
        issuer: &str,
        now: Timestamp,
        random: &dyn Random,
    ) -> Option<Zeroizing<String>> {
        let (iat, jti) = (now.unix_seconds(), URL_SAFE_NO_PAD.encode(random.bytes::<16>().ok()?));
        let claims = Assertion {
            iss: client_id,
            sub: client_id,
            aud: issuer,
            jti,
            iat,
            exp: iat.saturating_add(LIFETIME),
        };
        let header = match self.0 {
            Key::Rsa(_) => r#"{"alg":"RS256","typ":"JWT"}"#,
            Key::Curve(_) => r#"{"alg":"ES256","typ":"JWT"}"#,
        };
        let claims = serde_json::to_vec(&claims).ok()?;
        let mut token =
            Zeroizing::new(format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)));
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Some(token)
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &the_librarys_own(), message, &mut signature).ok()?;
                Some(signature)
            }
            Key::Curve(key) => Some(key.sign(&the_librarys_own(), message).ok()?.as_ref().to_vec()),
        }
    }
}

/// aws-lc takes it by signature and draws its nonces itself.
#[expect(clippy::disallowed_methods, reason = "the library draws nonces itself")]
fn the_librarys_own() -> SystemRandom {
    SystemRandom::new()
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(…)")
    }
}
