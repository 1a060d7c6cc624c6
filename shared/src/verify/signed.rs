//! Bytes in; claims whose signature is proven out. Nothing of the payload is read before the signature holds.
//!
//! What is proven here stays so for as long as the key is published, so it may be remembered. Whether the claims are to be
//! believed now, and by whom, is the verifier's to say each time.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{
    Claims, MAX_TOKEN_BYTES, Opaque, Part, REFRESH_TOKEN_PREFIX, TokenError, claims::UnverifiedClaims, json,
};
use crate::verify::{KeySet, PublicKey, Subjects};

/// The signature of an 8192-bit key, the largest that a key set may hold.
const MAX_SIGNATURE_BYTES: usize = 1024;

/// A token that a key of the key set signed, parsed. That it is the issuer's, for us, alive and not revoked is not said.
#[derive(Clone, Debug)]
pub struct Signed {
    kid: Opaque,
    claims: Arc<Claims>,
    subjects: Subjects,
}

impl Signed {
    /// Reads `token`, and proves its signature with `keys`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in this order: shape, algorithm, type, key, signature, claims.
    pub fn read(token: &str, keys: &KeySet) -> Result<Self, TokenError> {
        let (kid, claims) = signed_claims(token, keys)?;
        let claims = complete(claims)?;
        Ok(Self { kid, subjects: Subjects::of(&claims), claims: Arc::new(claims) })
    }

    /// The key that signed it.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.kid.as_str()
    }

    /// What it claims.
    #[must_use]
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    pub(crate) fn subjects(&self) -> &Subjects {
        &self.subjects
    }
}

/// The claims of a token whose signature is proven, and the `kid` of the key that proved it; nothing of the payload is
/// read before that.
fn signed_claims(token: &str, keys: &KeySet) -> Result<(Opaque, UnverifiedClaims), TokenError> {
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

/// RFC 9068 §2.2: what must be there is there.
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

/// The signed message, and the three segments; `None` when there are more or fewer.
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

/// The members of a JOSE header that choose how a token is verified. `jwk`, `jku`, `x5c` and `x5u` are read past: a token
/// has no say in the key that it is verified with (RFC 8725 §3.10).
#[derive(Default)]
struct UnverifiedHeader {
    alg: Option<String>,
    typ: Option<String>,
    kid: Option<Opaque>,
    is_extended: bool,
}

impl UnverifiedHeader {
    /// The key that the token has to be signed with.
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
        self.kid.as_ref().and_then(|kid| keys.key(kid.as_str())).ok_or(TokenError::UnknownKey)
    }
}

/// RFC 9068 §4, compared as a media type (RFC 7515 §4.1.9): without regard to case, `application/` left out or not.
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
