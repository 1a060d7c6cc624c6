//! What a client signs to say who it is: `private_key_jwt` (RFC 7523 §3). Pure: that an assertion is good once is the
//! business of the store.

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

/// An assertion is remembered until it expires, so it may not live for long.
const LONGEST: Duration = Duration::from_hours(1);

/// How far clocks may differ.
const SKEW: Duration = Duration::from_mins(1);

/// An assertion, read and not believed yet.
#[derive(Debug)]
pub struct Assertion<'a> {
    message: &'a str,
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
}

/// What is to be remembered of an assertion that is good, so that it is good once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Its `jti`.
    pub jti: Opaque,
    /// When it need not be remembered any more.
    pub expires_at: Timestamp,
}

/// Why an assertion is not believed; for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the assertion {0}")]
pub struct NotBelieved(&'static str);

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

/// One audience: an assertion for several could be shown to another of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    Text(String),
    Array([String; 1]),
}

impl<'a> Assertion<'a> {
    /// Takes an assertion apart.
    ///
    /// # Errors
    /// [`NotBelieved`] when it is none.
    pub fn read(text: &'a str) -> Result<Self, NotBelieved> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(NotBelieved("is too long"));
        }
        let segments = || {
            let (message, signature) = text.rsplit_once('.')?;
            let (header, payload) = message.split_once('.')?;
            let decode = |segment: &str| URL_SAFE_NO_PAD.decode(segment).ok();
            Some((message, decode(header)?, decode(payload)?, decode(signature)?))
        };
        let (message, header, payload, signature) = segments().ok_or(NotBelieved("is no JWS"))?;
        let header = serde_json::from_slice(&header).map_err(|_| NotBelieved("has a bad header"))?;
        let claims =
            serde_json::from_slice(&payload).map_err(|_| NotBelieved("lacks a claim, or has a bad one"))?;
        Ok(Self { message, signature, header, claims })
    }

    /// Whose it says it is.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.claims.iss.as_str()
    }

    /// TrustedIssuers it by the client's own key set, at `now`; it has to be for exactly one of `audiences`.
    ///
    /// # Errors
    /// [`NotBelieved`] says why not.
    pub fn verify(&self, jwks: &str, audiences: &[&str], now: Timestamp) -> Result<Spent, NotBelieved> {
        self.header.is_plain()?;
        let keys: JwkSet =
            serde_json::from_str(jwks).map_err(|_| NotBelieved("is of a client without keys"))?;
        if !keys.keys.iter().any(|key| self.is_signed_with(key)) {
            return Err(NotBelieved("is signed with no key of its client"));
        }
        let claims = &self.claims;
        if claims.iss != claims.sub {
            return Err(NotBelieved("has a subject that is not its issuer"));
        }
        let (Audience::Text(audience) | Audience::Array([audience])) = &claims.aud;
        if !audiences.contains(&audience.as_str()) {
            return Err(NotBelieved("is for another audience"));
        }
        let at = |date: NumericDate| Timestamp::from_unix_millis(date.unix_seconds().saturating_mul(1_000));
        let expires_at = at(claims.exp);
        if expires_at <= now {
            return Err(NotBelieved("has expired"));
        }
        if expires_at > now.after(LONGEST).after(SKEW) {
            return Err(NotBelieved("lives for more than an hour"));
        }
        if [claims.nbf, claims.iat].into_iter().flatten().any(|date| at(date) > now.after(SKEW)) {
            return Err(NotBelieved("is not valid yet"));
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
    /// Nothing in it changes what is signed, and it is not of a token of another kind (RFC 8725 §3.11).
    fn is_plain(&self) -> Result<(), NotBelieved> {
        let is_typed = |typ: &str| {
            ["jwt", "client-authentication+jwt"].iter().any(|good| typ.eq_ignore_ascii_case(good))
        };
        if self.crit.is_some() || self.b64.is_some() {
            return Err(NotBelieved("has extensions"));
        }
        if self.typ.as_deref().is_none_or(is_typed) { Ok(()) } else { Err(NotBelieved("is of another type")) }
    }
}

fn is_alg(key: &Jwk, alg: KeyAlgorithm) -> bool {
    key.common.key_algorithm.is_none_or(|only| only == alg)
}
