//! The RSA key that signs access tokens.
//!
//! The key is parsed **once**, because parsing costs more than signing. `jsonwebtoken::encode` parses it for every
//! token, so this module uses the types of `jsonwebtoken` but not its `encode`.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::verify::{Claims, Kid, PublicKey};
use jsonwebtoken::{
    Algorithm, Header,
    jwk::{
        AlgorithmParameters, CommonParameters, Jwk, KeyAlgorithm, PublicKeyUse, RSAKeyParameters, RSAKeyType,
        ThumbprintHash,
    },
};
use serde::Serialize;
use zeroize::Zeroizing;

/// An RSA-2048 key pair, and the encoded header of its access tokens.
pub struct SigningKey {
    kid: Kid,
    pair: KeyPair,
    public: PublicKey,
    jwk: Jwk,
    /// The encoded header and the dot after it. They are the same for every access token.
    header: String,
}

/// A key can't be generated, read, written or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key can't be {0}")]
pub struct SigningKeyError(&'static str);

impl SigningKey {
    /// Generates a key. Takes 70 ms on average, and sometimes 500 ms.
    pub fn generate() -> Result<Self, SigningKeyError> {
        Self::new(KeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningKeyError("generated"))?)
    }

    /// Reads the key from a PKCS #8 document.
    ///
    /// # Errors
    /// [`SigningKeyError`] when the document holds no usable RSA key.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, SigningKeyError> {
        Self::new(KeyPair::from_pkcs8(document).map_err(|_| SigningKeyError("read"))?)
    }

    fn new(pair: KeyPair) -> Result<Self, SigningKeyError> {
        let unusable = SigningKeyError("used");
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let public = PublicKey::from_modulus(&modulus).ok_or(unusable)?;
        let mut jwk = jwk(&modulus);
        // RFC 7638: the kid depends on the key alone.
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| unusable)?;
        jwk.common.key_id = Some(kid.clone());
        let kid = kid.parse().map_err(|_| unusable)?;
        let header = header("at+jwt", &kid).ok_or(unusable)?;
        Ok(Self { kid, pair, public, jwk, header })
    }

    /// The kid: the key's RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The public key, for verification.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public key as a JWK, for publication.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The private key as a PKCS #8 document, for sealing.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let document: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| SigningKeyError("written"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Signs an access token with these claims (RFC 7515 §3.1). Takes 0.2 ms. Never call it while holding a lock.
    pub fn sign(&self, claims: &Claims) -> Result<String, SigningKeyError> {
        self.sign_with(&self.header, claims)
    }

    /// Signs a JWT of type `typ` with these claims.
    pub fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        self.sign_with(&header(typ, &self.kid).ok_or(SigningKeyError("used"))?, claims)
    }

    fn sign_with(&self, header: &str, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        let failed = SigningKeyError("used");
        let payload = serde_json::to_vec(claims).map_err(|_| failed)?;
        let signature_length = self.pair.public_modulus_len();
        let mut token = String::with_capacity(header.len() + (payload.len() + signature_length) * 4 / 3 + 8);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
        let mut signature = vec![0; signature_length];
        // RSASSA-PKCS1-v1_5 is deterministic. The function's signature requires randomness, but does not use it.
        self.pair
            .sign(&RSA_PKCS1_SHA256, &unused_random(), token.as_bytes(), &mut signature)
            .map_err(|_| failed)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "PKCS #1 v1.5 signatures draw no randomness; the interface asks for it"
)]
fn unused_random() -> aws_lc_rs::rand::SystemRandom {
    aws_lc_rs::rand::SystemRandom::new()
}

/// The encoded header of a JWT, with the dot after it.
fn header(typ: &str, kid: &Kid) -> Option<String> {
    let header =
        Header { typ: Some(typ.to_owned()), kid: Some(kid.to_string()), ..Header::new(Algorithm::RS256) };
    Some(format!("{}.", URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).ok()?)))
}

fn jwk(modulus: &[u8]) -> Jwk {
    Jwk {
        common: CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(KeyAlgorithm::RS256),
            ..CommonParameters::default()
        },
        algorithm: AlgorithmParameters::RSA(RSAKeyParameters {
            key_type: RSAKeyType::RSA,
            n: URL_SAFE_NO_PAD.encode(modulus),
            e: "AQAB".to_owned(),
        }),
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}
