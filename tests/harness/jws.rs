//! Keys and signatures of every kind, and the compact serialization of tokens (RFC 7515 §3.1).

use std::sync::LazyLock;

use aws_lc_rs::{
    digest,
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// A key that is unknown to our services. All tests share it, because making a key is slow.
pub static THIEF: LazyLock<RsaKey> = LazyLock::new(RsaKey::generate);

/// A second key, for tests that need two.
pub static OTHER: LazyLock<RsaKey> = LazyLock::new(RsaKey::generate);

/// Encodes as base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// The three segments of a token.
#[track_caller]
pub fn segments(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().expect("three segments")
}

/// The header of a token, unverified.
#[track_caller]
pub fn header(token: &str) -> Value {
    serde_json::from_slice(&unb64(segments(token)[0])).unwrap()
}

/// The claims of a token, unverified.
#[track_caller]
pub fn payload(token: &str) -> Value {
    serde_json::from_slice(&unb64(segments(token)[1])).unwrap()
}

/// The signed message: the first two segments.
pub fn message(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}", b64(header), b64(payload))
}

/// Joins a message and its signature to a token.
pub fn seal(message: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{message}.{}", b64(signature))
}

/// An RSA key that signs with any RSA algorithm.
#[derive(Debug)]
pub struct RsaKey(KeyPair);

impl RsaKey {
    pub fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn from_pkcs8(document: &[u8]) -> Self {
        Self(KeyPair::from_pkcs8(document).unwrap())
    }

    /// Signs with one of the six RSA algorithms of RFC 7518 §3.1.
    pub fn sign(&self, algorithm: &str, message: impl AsRef<[u8]>) -> Vec<u8> {
        let padding: &'static dyn RsaEncoding = match algorithm {
            "RS256" => &RSA_PKCS1_SHA256,
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            "PS512" => &RSA_PSS_SHA512,
            other => panic!("{other} is not an RSA algorithm"),
        };
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &random(), message.as_ref(), &mut signature).unwrap();
        signature
    }

    /// An RS256 token with exactly this header and these claims.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let message = message(header.to_string(), claims.to_string());
        seal(&message, self.sign("RS256", &message))
    }

    pub fn modulus(&self) -> Vec<u8> {
        self.0.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    /// The RFC 7638 thumbprint of the key.
    pub fn kid(&self) -> String {
        let canonical = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, b64(self.modulus()));
        b64(sha256(canonical.as_bytes()))
    }

    /// The private key in PEM.
    pub fn private_pem(&self) -> String {
        let document: Pkcs8V1Der<'_> = self.0.as_der().unwrap();
        pem("PRIVATE KEY", document.as_ref())
    }

    /// The public key, as an issuer publishes it.
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "RSA", "n": b64(self.modulus()), "e": "AQAB", "use": "sig", "alg": "RS256", "kid": self.kid()
        })
    }

    /// Forms of an RSA public key that libraries have used as an HMAC secret by mistake.
    pub fn public_forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        let public = self.0.public_key();
        let spki: PublicKeyX509Der<'_> = public.as_der().unwrap();
        let (spki, pkcs1) = (spki.as_ref().to_vec(), public.as_ref().to_vec());
        let jwk = self.jwk();
        vec![
            ("PEM", pem("PUBLIC KEY", &spki).into_bytes()),
            ("PEM without its last line end", pem("PUBLIC KEY", &spki).trim_end().as_bytes().to_vec()),
            ("PKCS #1 PEM", pem("RSA PUBLIC KEY", &pkcs1).into_bytes()),
            ("DER", spki),
            ("PKCS #1 DER", pkcs1),
            ("JWK", jwk.to_string().into_bytes()),
            ("JWK set", json!({"keys": [jwk]}).to_string().into_bytes()),
            ("n", b64(self.modulus()).into_bytes()),
            ("modulus", self.modulus()),
            ("kid", self.kid().into_bytes()),
            ("empty", Vec::new()),
        ]
    }
}

/// An HMAC by one of the three algorithms of RFC 7518 §3.2.
pub fn hmac(algorithm: &str, secret: &[u8], message: &str) -> Vec<u8> {
    let algorithm = match algorithm {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        other => panic!("{other} is not an HMAC"),
    };
    hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes()).as_ref().to_vec()
}

/// A signature by a new key that is not RSA, and the public key.
pub fn foreign(algorithm: &str, message: &str) -> (Vec<u8>, Value) {
    let elliptic = |curve, name: &str| {
        let pair = EcdsaKeyPair::generate(curve).unwrap();
        let signature = pair.sign(&random(), message.as_bytes()).unwrap().as_ref().to_vec();
        let (_, point) = pair.public_key().as_ref().split_first().unwrap();
        let (x, y) = point.split_at(point.len() / 2);
        (signature, json!({"kty": "EC", "crv": name, "x": b64(x), "y": b64(y)}))
    };
    match algorithm {
        "ES256" => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        "ES384" => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        "EdDSA" => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())});
            (pair.sign(message.as_bytes()).as_ref().to_vec(), jwk)
        }
        other => panic!("{other} is not a signature of another family"),
    }
}

/// A P-256 key, for clients that sign with ES256.
#[derive(Debug)]
pub struct CurveKey(EcdsaKeyPair);

impl CurveKey {
    pub fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The private key in PEM.
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", self.0.to_pkcs8v1().unwrap().as_ref())
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)})
    }

    /// Signs a JWT with ES256.
    pub fn token(&self, claims: &Value) -> String {
        let message = message(json!({"alg": "ES256"}).to_string(), claims.to_string());
        let signature = self.0.sign(&random(), message.as_bytes()).unwrap();
        seal(&message, signature)
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a forger draws at random changes no outcome: every such signature has to be refused"
)]
fn random() -> SystemRandom {
    SystemRandom::new()
}
