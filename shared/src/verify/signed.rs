//! Verifies the signature of a token, then parses its claims. The payload is not parsed before the signature is
//! verified.
//!
//! The result stays true while the key is published, so it may be cached. The verifier decides each time whether the
//! claims are acceptable now.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{
    Claims, Kid, MAX_TOKEN_BYTES, Part, REFRESH_TOKEN_PREFIX, TokenError, claims::UnverifiedClaims, json,
};
use crate::verify::{KeySet, PublicKey, Subjects};

/// Signature size of an 8192-bit key, the largest that a key set accepts.
const MAX_SIGNATURE_BYTES: usize = 1024;

/// A parsed token with a valid signature by a key of the key set. Its issuer, audience, times and revocation are not
/// checked yet.
#[derive(Clone, Debug)]
pub struct Signed {
    kid: Kid,
    claims: Arc<Claims>,
    subjects: Subjects,
}

impl Signed {
    /// Parses `token` and verifies its signature with `keys`.
    ///
    /// # Errors
    /// The first problem of the token, in this order: shape, algorithm, type, key, signature, claims.
    pub fn read(token: &str, keys: &KeySet) -> Result<Self, TokenError> {
        let (kid, claims) = signed_claims(token, keys)?;
        let claims = complete(claims)?;
        Ok(Self { kid, subjects: Subjects::of(&claims), claims: Arc::new(claims) })
    }

    /// The `kid` of the key that signed the token.
    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    pub(crate) fn subjects(&self) -> &Subjects {
        &self.subjects
    }
}

/// Verifies the signature, then parses the payload. Returns the claims and the `kid` of the key.
fn signed_claims(token: &str, keys: &KeySet) -> Result<(Kid, UnverifiedClaims), TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    if token.starts_with(REFRESH_TOKEN_PREFIX) {
        return Err(TokenError::RefreshToken);
    }
    let (message, header, payload, signature) = segments(token).ok_or(TokenError::Segments)?;
    let header: UnverifiedHeader = json_of(header, Part::Header)?;
    verify_signature(header.key(keys)?, message, signature)?;
    let kid = header.kid.ok_or(TokenError::UnknownKey)?;
    Ok((kid, json_of(payload, Part::Payload)?))
}

/// Requires the four claims that every access token has (RFC 9068 §2.2).
fn complete(claims: UnverifiedClaims) -> Result<Claims, TokenError> {
    Ok(Claims {
        iss: claims.iss.ok_or(TokenError::Absent("iss"))?,
        sub: claims.sub.ok_or(TokenError::Absent("sub"))?,
        aud: claims.aud.ok_or(TokenError::Absent("aud"))?,
        exp: claims.exp.ok_or(TokenError::Absent("exp"))?,
        nbf: claims.nbf,
        iat: claims.iat,
        jti: claims.jti,
        client_id: claims.client_id,
        scope: claims.scope.unwrap_or_default(),
        roles: claims.roles.unwrap_or_default(),
        email: claims.email,
        sid: claims.sid,
        auth_time: claims.auth_time,
        fresh: claims.fresh,
        amr: claims.amr.unwrap_or_default(),
        csrf: claims.csrf,
        custom: claims.custom,
    })
}

/// The signed message, and the three segments. `None` when the token does not have exactly three segments.
fn segments(token: &str) -> Option<(&str, &str, &str, &str)> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    (!payload.contains('.')).then_some((message, header, payload, signature))
}

fn json_of<T: for<'de> Deserialize<'de>>(segment: &str, part: Part) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenError::Encoding(part))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Json(part))
}

fn verify_signature(key: &PublicKey, message: &str, signature: &str) -> Result<(), TokenError> {
    let mut buffer = [0; MAX_SIGNATURE_BYTES + 2];
    let length = URL_SAFE_NO_PAD
        .decode_slice(signature, &mut buffer)
        .map_err(|_| TokenError::Encoding(Part::Signature))?;
    if key.verifies(message.as_bytes(), &buffer[..length]) { Ok(()) } else { Err(TokenError::Signature) }
}

/// The header members that select how a token is verified. `jwk`, `jku`, `x5c` and `x5u` are ignored: a token cannot
/// choose the key that verifies it (RFC 8725 §3.10).
#[derive(Default)]
struct UnverifiedHeader {
    alg: Option<String>,
    typ: Option<String>,
    kid: Option<Kid>,
    is_extended: bool,
}

impl UnverifiedHeader {
    /// The key that must have signed the token.
    fn key<'k>(&self, keys: &'k KeySet) -> Result<&'k PublicKey, TokenError> {
        if self.alg.as_deref() != Some("RS256") {
            return Err(TokenError::Algorithm);
        }
        if self.is_extended {
            return Err(TokenError::Critical);
        }
        if !self.typ.as_deref().is_some_and(is_access_token_type) {
            return Err(TokenError::Type);
        }
        self.kid.as_ref().and_then(|kid| keys.key(kid)).ok_or(TokenError::UnknownKey)
    }
}

/// The type of an access token (RFC 9068 §4), compared as a media type (RFC 7515 §4.1.9): letter case does not matter,
/// and the prefix `application/` is optional.
fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

impl<'de> Deserialize<'de> for UnverifiedHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;

        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = UnverifiedHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<UnverifiedHeader, A::Error> {
                let mut header = UnverifiedHeader::default();
                let mut others = serde_json::Map::new();
                while let Some(name) = members.next_key::<json::Text<'_>>()? {
                    match &*name.0 {
                        "alg" => json::set_once(&mut header.alg, &mut members)?,
                        "typ" => json::set_once(&mut header.typ, &mut members)?,
                        "kid" => json::set_once(&mut header.kid, &mut members)?,
                        _ => {
                            header.is_extended |= matches!(&*name.0, "crit" | "b64");
                            let json::Strict(value) = members.next_value()?;
                            json::insert_once(&mut others, name.0.into_owned(), value)?;
                        }
                    }
                }
                Ok(header)
            }
        }

        deserializer.deserialize_map(HeaderVisitor)
    }
}

#[cfg(test)]
mod tests;
