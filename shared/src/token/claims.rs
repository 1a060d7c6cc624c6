//! What an access token says: each claim parsed into a type, written and read by the same names.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::{Map, Value};

use super::{Scope, json};

/// A text that is compared and passed on, never looked into: not empty, at most 255 bytes.
///
/// It stands for `sub`, `sid`, `jti` and `client_id`, and for `kid` in the header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opaque(Box<str>);

/// A text is empty, or longer than 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 255 bytes")]
pub struct InvalidOpaque;

impl Opaque {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Cow<'_, str>> for Opaque {
    type Error = InvalidOpaque;

    fn try_from(text: Cow<'_, str>) -> Result<Self, Self::Error> {
        match text.len() {
            1..=255 => Ok(Self(text.into())),
            _ => Err(InvalidOpaque),
        }
    }
}

impl FromStr for Opaque {
    type Err = InvalidOpaque;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Cow::Borrowed(text).try_into()
    }
}

impl Borrow<str> for Opaque {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json::Text(text) = json::Text::deserialize(deserializer)?;
        text.try_into().map_err(de::Error::custom)
    }
}

/// Who minted a token: a URL, compared byte for byte (RFC 9068 §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer of that URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource server that a token is for, compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audience(String);

impl Audience {
    /// The audience of that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a token is for: at least one audience. Written as a string when it is one, else as an array (RFC 7519 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audiences(Vec<Audience>);

impl Audiences {
    /// `None` when `audiences` is empty: a token for nobody can't be.
    #[must_use]
    pub fn new(audiences: Vec<Audience>) -> Option<Self> {
        (!audiences.is_empty()).then_some(Self(audiences))
    }

    /// Whether `audience` is among them.
    #[must_use]
    pub fn contains(&self, audience: &Audience) -> bool {
        self.0.contains(audience)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Audience> {
        self.0.iter()
    }
}

impl Serialize for Audiences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audiences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudiencesVisitor;

        impl<'de> Visitor<'de> for AudiencesVisitor {
            type Value = Audiences;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an array of strings with at least one")
            }

            fn visit_str<E>(self, one: &str) -> Result<Audiences, E> {
                Ok(Audiences(vec![Audience::new(one)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Audiences, A::Error> {
                let mut audiences = Vec::new();
                while let Some(audience) = items.next_element()? {
                    audiences.push(audience);
                }
                Audiences::new(audiences).ok_or_else(|| de::Error::custom("an empty array"))
            }
        }

        deserializer.deserialize_any(AudiencesVisitor)
    }
}

/// Seconds since 1970-01-01T00:00:00Z (RFC 7519 §2). Read from an integer or a float, never negative; a fraction is
/// cut off, so that a token never lives longer than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(i64);

impl NumericDate {
    /// The furthest instant that a double still counts in whole seconds: 2^53.
    const FURTHEST: i64 = 1 << 53;

    /// That many seconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DateVisitor;

        impl Visitor<'_> for DateVisitor {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since 1970, from 0 to 2^53")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<NumericDate, E> {
                match i64::try_from(seconds) {
                    Ok(seconds) if seconds <= NumericDate::FURTHEST => Ok(NumericDate(seconds)),
                    _ => Err(E::custom("an instant too far ahead")),
                }
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
                #[expect(clippy::cast_precision_loss, reason = "2^53 is exact in a double")]
                let legal = (0.0..=NumericDate::FURTHEST as f64).contains(&seconds);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "in range; the fraction is cut off on purpose"
                )]
                legal
                    .then_some(NumericDate(seconds as i64))
                    .ok_or_else(|| E::custom("an instant out of range"))
            }
        }

        deserializer.deserialize_any(DateVisitor)
    }
}

/// The claims of an access token, as CONTRACT's table has them.
///
/// A verifier requires `iss`, `sub`, `aud` and `exp`; whatever else is absent is `None` or empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The issuer's URL.
    pub iss: Issuer,
    /// The account's id, or the client's for a service token.
    pub sub: Opaque,
    /// The resource servers that it is for.
    pub aud: Audiences,
    /// The token is dead at this instant, not one second later.
    pub exp: NumericDate,
    /// Not to be believed before.
    pub nbf: Option<NumericDate>,
    /// When it was minted.
    pub iat: Option<NumericDate>,
    /// Unique to the token.
    pub jti: Option<Opaque>,
    /// The client that asked for it.
    pub client_id: Option<Opaque>,
    /// What it may be used for.
    pub scope: Scope,
    /// What its subject is.
    pub roles: Vec<String>,
    /// The account's address; user tokens only.
    pub email: Option<String>,
    /// The session that it belongs to; `None` for a service token.
    pub sid: Option<Opaque>,
    /// When the user last gave credentials.
    pub auth_time: Option<NumericDate>,
    /// True only when minted straight from credentials.
    pub fresh: Option<bool>,
    /// How the user authenticated (RFC 8176).
    pub amr: Vec<String>,
    /// What unsafe requests by cookie have to repeat in a header; only on cookie-delivered tokens.
    pub csrf: Option<String>,
    /// Custom claims: every member that is not one of the above.
    pub custom: Map<String, Value>,
}

impl Claims {
    /// The names that no custom claim can take.
    pub const RESERVED: [&str; 16] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "scope",
        "roles",
        "email",
        "sid",
        "auth_time",
        "fresh",
        "amr",
        "csrf",
    ];

    /// Claims with the four that every token has, and nothing else.
    #[must_use]
    pub fn new(iss: Issuer, sub: Opaque, aud: Audiences, exp: NumericDate) -> Self {
        Self {
            iss,
            sub,
            aud,
            exp,
            nbf: None,
            iat: None,
            jti: None,
            client_id: None,
            scope: Scope::default(),
            roles: Vec::new(),
            email: None,
            sid: None,
            auth_time: None,
            fresh: None,
            amr: Vec::new(),
            csrf: None,
            custom: Map::new(),
        }
    }

    /// Whether the subject has that role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        map.serialize_entry("aud", &self.aud)?;
        map.serialize_entry("exp", &self.exp)?;
        entry(&mut map, "nbf", self.nbf.as_ref())?;
        entry(&mut map, "iat", self.iat.as_ref())?;
        entry(&mut map, "jti", self.jti.as_ref())?;
        entry(&mut map, "client_id", self.client_id.as_ref())?;
        let scope = (!self.scope.is_empty()).then(|| self.scope.to_string());
        entry(&mut map, "scope", scope.as_ref())?;
        entry(&mut map, "roles", Some(&self.roles).filter(|roles| !roles.is_empty()))?;
        entry(&mut map, "email", self.email.as_ref())?;
        entry(&mut map, "sid", self.sid.as_ref())?;
        entry(&mut map, "auth_time", self.auth_time.as_ref())?;
        entry(&mut map, "fresh", self.fresh.as_ref())?;
        entry(&mut map, "amr", Some(&self.amr).filter(|amr| !amr.is_empty()))?;
        entry(&mut map, "csrf", self.csrf.as_ref())?;
        for (name, value) in self.custom.iter().filter(|(name, _)| !Self::RESERVED.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn entry<M: SerializeMap, T: Serialize>(map: &mut M, name: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// Claims as they stand in a token, before the verifier has asked for the four that must be there.
#[derive(Default)]
pub(crate) struct UnverifiedClaims {
    pub(crate) iss: Option<Issuer>,
    pub(crate) sub: Option<Opaque>,
    pub(crate) aud: Option<Audiences>,
    pub(crate) exp: Option<NumericDate>,
    pub(crate) nbf: Option<NumericDate>,
    pub(crate) iat: Option<NumericDate>,
    pub(crate) jti: Option<Opaque>,
    pub(crate) client_id: Option<Opaque>,
    pub(crate) scope: Option<Scope>,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) email: Option<String>,
    pub(crate) sid: Option<Opaque>,
    pub(crate) auth_time: Option<NumericDate>,
    pub(crate) fresh: Option<bool>,
    pub(crate) amr: Option<Vec<String>>,
    pub(crate) csrf: Option<String>,
    pub(crate) custom: Map<String, Value>,
}

impl<'de> Deserialize<'de> for UnverifiedClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimsVisitor;

        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = UnverifiedClaims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<UnverifiedClaims, A::Error> {
                let mut claims = UnverifiedClaims::default();
                while let Some(json::Text(name)) = members.next_key()? {
                    claims.read(name, &mut members)?;
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(ClaimsVisitor)
    }
}

impl UnverifiedClaims {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: Cow<'_, str>, members: &mut A) -> Result<(), A::Error> {
        match &*name {
            "iss" => json::set_once(&mut self.iss, members),
            "sub" => json::set_once(&mut self.sub, members),
            "aud" => json::set_once(&mut self.aud, members),
            "exp" => json::set_once(&mut self.exp, members),
            "nbf" => json::set_once(&mut self.nbf, members),
            "iat" => json::set_once(&mut self.iat, members),
            "jti" => json::set_once(&mut self.jti, members),
            "client_id" => json::set_once(&mut self.client_id, members),
            "scope" => json::set_once(&mut self.scope, members),
            "roles" => json::set_once(&mut self.roles, members),
            "email" => json::set_once(&mut self.email, members),
            "sid" => json::set_once(&mut self.sid, members),
            "auth_time" => json::set_once(&mut self.auth_time, members),
            "fresh" => json::set_once(&mut self.fresh, members),
            "amr" => json::set_once(&mut self.amr, members),
            "csrf" => json::set_once(&mut self.csrf, members),
            _ => {
                let json::Strict(value) = members.next_value()?;
                json::insert_once(&mut self.custom, name.into_owned(), value)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}
