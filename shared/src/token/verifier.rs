//! Bytes in; believed claims, or the exact reason why not, out.
//!
//! One function decides for the protected route, for introspection and for gRPC, so they can't disagree. Fetching keys,
//! finding the token in a request and answering are others' work.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{
    Audience, Claims, Issuer, MAX_TOKEN_BYTES, Opaque, Part, REFRESH_TOKEN_PREFIX, TokenError,
    claims::{NumericDate, UnverifiedClaims},
    json,
};
use crate::{
    clock::Timestamp,
    jwks::{KeySet, PublicKey},
    revocation::Revocations,
};

/// How far ahead `iat` may lie: clocks differ, but not by more than a minute.
const IAT_AHEAD: Duration = Duration::from_mins(1);

/// The signature of an 8192-bit key, the largest that a key set may hold.
const MAX_SIGNATURE_BYTES: usize = 1024;

/// Whose tokens are believed, and for whom.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: Issuer,
    audiences: AcceptedAudiences,
    leeway: Duration,
}

/// For whom a token has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedAudiences {
    /// For at least one of these.
    AnyOf(Vec<Audience>),
    /// For whomever: the caller judges the audience itself, or the route serves every user of the issuer.
    Any,
}

/// A token that is believed: signed by the issuer, for this audience, alive. Only a [`Verifier`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedToken {
    claims: Claims,
}

impl VerifiedToken {
    /// What it claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it claims, without the proof.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }
}

/// A token that is believed but for its age.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyAge {
    /// Alive.
    Live(VerifiedToken),
    /// Past its expiry; everything else about it is right. It can't be used for anything but its own revocation.
    Expired(Claims),
}

impl AnyAge {
    /// What the token claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        match self {
            Self::Live(token) => token.claims(),
            Self::Expired(claims) => claims,
        }
    }
}

impl Verifier {
    /// Believes tokens of `issuer` for `audiences`, without leeway.
    #[must_use]
    pub fn new(issuer: Issuer, audiences: AcceptedAudiences) -> Self {
        Self { issuer, audiences, leeway: Duration::ZERO }
    }

    /// Lets `exp` and `nbf` be off by `leeway`, for machines whose clocks differ.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Judges `token` by `keys` and `revocations` at the instant `now`.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in this order: shape, algorithm, type, key, signature, claims, issuer,
    /// audience, not yet valid, expired, revoked.
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        match self.verify_any_age(token, keys, revocations, now)? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired),
        }
    }

    /// The same, for the few routes that have a use for a token that has expired.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for [`TokenError::Expired`].
    pub fn verify_any_age(
        &self,
        token: &str,
        keys: &KeySet,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<AnyAge, TokenError> {
        let (kid, claims) = signed_claims(token, keys)?;
        let claims = self.believed(claims)?;
        let (now, leeway) = (now.unix_millis(), millis(self.leeway));
        let is_ahead =
            |date: NumericDate, by: i64| date.unix_seconds().saturating_mul(1_000) > now.saturating_add(by);
        if claims.nbf.is_some_and(|nbf| is_ahead(nbf, leeway))
            || claims.iat.is_some_and(|iat| is_ahead(iat, millis(IAT_AHEAD)))
        {
            return Err(TokenError::NotYetValid);
        }
        // Dead at `exp` itself (RFC 7519 §4.1.4: "on or after").
        if claims.exp.unix_seconds().saturating_mul(1_000).saturating_add(leeway) <= now {
            return Ok(AnyAge::Expired(claims));
        }
        if revocations.read(|set| set.revokes(&claims, kid.as_str())) {
            return Err(TokenError::Revoked);
        }
        Ok(AnyAge::Live(VerifiedToken { claims }))
    }

    /// RFC 9068 §4: what must be there is there, the issuer and the audience are exactly ours.
    fn believed(&self, claims: UnverifiedClaims) -> Result<Claims, TokenError> {
        let iss = claims.iss.ok_or(TokenError::Absent("iss"))?;
        let sub = claims.sub.ok_or(TokenError::Absent("sub"))?;
        let aud = claims.aud.ok_or(TokenError::Absent("aud"))?;
        let exp = claims.exp.ok_or(TokenError::Absent("exp"))?;
        if iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        match &self.audiences {
            AcceptedAudiences::AnyOf(accepted) if !accepted.iter().any(|audience| aud.contains(audience)) => {
                return Err(TokenError::Audience);
            }
            AcceptedAudiences::AnyOf(_) | AcceptedAudiences::Any => {}
        }
        Ok(Claims {
            iss,
            sub,
            aud,
            exp,
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

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
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
