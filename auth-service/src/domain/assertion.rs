//! Client authentication by a signed assertion: `private_key_jwt` (RFC 7523 §3).
//!
//! This module is pure. The store makes sure that each assertion is accepted once.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::{
    clock::Timestamp,
    verify::{MAX_TOKEN_BYTES, NumericDate, Opaque, PublicKey},
};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

/// Maximum lifetime of an assertion. The store remembers an assertion until it expires, so the lifetime must be
/// short.
const LONGEST: Duration = Duration::from_hours(1);

/// Maximum difference between the client's clock and ours.
const SKEW: Duration = Duration::from_mins(1);

/// A decoded assertion whose signature and claims are not verified yet.
#[derive(Debug)]
pub struct Assertion<'a> {
    message: &'a str,
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
}

/// The data that the store remembers of a valid assertion, so that it is not accepted twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The `jti` of the assertion.
    pub jti: Opaque,
    /// The instant from which the assertion need not be remembered.
    pub expires_at: Timestamp,
}

/// The reason why an assertion is invalid. It goes to the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assertion {0}")]
pub struct InvalidAssertion(&'static str);

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: Opaque,
    sub: Opaque,
    aud: Audience,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    jti: Opaque,
}

/// Exactly one audience. An assertion for several could be replayed at another one of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    Text(String),
    Array([String; 1]),
}

impl<'a> Assertion<'a> {
    /// Decodes an assertion.
    ///
    /// # Errors
    /// [`InvalidAssertion`] when `text` is not a JWS, is too long, or has an unreadable header or claim.
    pub fn read(text: &'a str) -> Result<Self, InvalidAssertion> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(InvalidAssertion("is too long"));
        }
        let segments = || {
            let (message, signature) = text.rsplit_once('.')?;
            let (header, payload) = message.split_once('.')?;
            let decode = |segment: &str| URL_SAFE_NO_PAD.decode(segment).ok();
            Some((message, decode(header)?, decode(payload)?, decode(signature)?))
        };
        let (message, header, payload, signature) = segments().ok_or(InvalidAssertion("is no JWS"))?;
        let header = serde_json::from_slice(&header).map_err(|_| InvalidAssertion("has a bad header"))?;
        let claims = serde_json::from_slice(&payload)
            .map_err(|_| InvalidAssertion("lacks a claim, or has a bad one"))?;
        Ok(Self { message, signature, header, claims })
    }

    /// The issuer that the assertion claims, not verified.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.claims.iss.as_str()
    }

    /// Verifies the assertion at `now` with the client's key set `jwks`. Its audience must be one of `audiences`.
    ///
    /// # Errors
    /// [`InvalidAssertion`] says which check failed.
    pub fn verify(&self, jwks: &str, audiences: &[&str], now: Timestamp) -> Result<Spent, InvalidAssertion> {
        self.header.is_plain()?;
        let keys: JwkSet =
            serde_json::from_str(jwks).map_err(|_| InvalidAssertion("is of a client without keys"))?;
        if !keys.keys.iter().any(|key| self.is_signed_with(key)) {
            return Err(InvalidAssertion("is signed with no key of its client"));
        }
        let claims = &self.claims;
        if claims.iss != claims.sub {
            return Err(InvalidAssertion("has a subject that is not its issuer"));
        }
        let (Audience::Text(audience) | Audience::Array([audience])) = &claims.aud;
        if !audiences.contains(&audience.as_str()) {
            return Err(InvalidAssertion("is for another audience"));
        }
        let at = |date: NumericDate| Timestamp::from_unix_millis(date.unix_seconds().saturating_mul(1_000));
        let expires_at = at(claims.exp);
        if expires_at <= now {
            return Err(InvalidAssertion("has expired"));
        }
        if expires_at > now.after(LONGEST).after(SKEW) {
            return Err(InvalidAssertion("lives for more than an hour"));
        }
        if [claims.nbf, claims.iat].into_iter().flatten().any(|date| at(date) > now.after(SKEW)) {
            return Err(InvalidAssertion("is not valid yet"));
        }
        Ok(Spent { jti: claims.jti.clone(), expires_at })
    }

    fn is_signed_with(&self, key: &Jwk) -> bool {
        let is_named = match (&self.header.kid, &key.common.key_id) {
            (Some(asked), Some(named)) => asked == named,
            (Some(_), None) | (None, _) => true,
        };
        is_named
            && matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature))
            && match self.header.alg.as_str() {
                "RS256" => is_alg(key, KeyAlgorithm::RS256) && self.verifies_rs256(key),
                "ES256" => is_alg(key, KeyAlgorithm::ES256) && self.verifies_es256(key),
                _ => false,
            }
    }

    fn verifies_rs256(&self, key: &Jwk) -> bool {
        let AlgorithmParameters::RSA(rsa) = &key.algorithm else { return false };
        let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).ok().filter(|_| rsa.e == "AQAB");
        let key = modulus.and_then(|modulus| PublicKey::from_modulus(&modulus));
        key.is_some_and(|key| key.verifies(self.message.as_bytes(), &self.signature))
    }

    fn verifies_es256(&self, key: &Jwk) -> bool {
        let AlgorithmParameters::EllipticCurve(ec) = &key.algorithm else { return false };
        if ec.curve != EllipticCurve::P256 {
            return false;
        }
        let coordinate = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32);
        let Some((x, y)) = coordinate(&ec.x).zip(coordinate(&ec.y)) else { return false };
        // An uncompressed point (SEC 1 §2.3.3).
        let point = [&[4], &x[..], &y].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(self.message.as_bytes(), &self.signature).is_ok()
    }
}

impl Header {
    /// Checks that no extension changes what is signed, and that the JWT type is not of another kind of token (RFC
    /// 8725 §3.11).
    fn is_plain(&self) -> Result<(), InvalidAssertion> {
        let is_typed = |typ: &str| {
            ["jwt", "client-authentication+jwt"].iter().any(|good| typ.eq_ignore_ascii_case(good))
        };
        if self.crit.is_some() || self.b64.is_some() {
            return Err(InvalidAssertion("has extensions"));
        }
        if self.typ.as_deref().is_none_or(is_typed) {
            Ok(())
        } else {
            Err(InvalidAssertion("is of another type"))
        }
    }
}

fn is_alg(key: &Jwk, alg: KeyAlgorithm) -> bool {
    key.common.key_algorithm.is_none_or(|only| only == alg)
}
