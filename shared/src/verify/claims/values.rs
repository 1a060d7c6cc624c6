//! Value types of claims: opaque texts, audiences and times. Each is parsed strictly.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use crate::verify::{Scope, json};

/// An opaque text of 1 to 255 bytes. It is compared and passed on, and never parsed.
///
/// `sub`, `sid`, `jti` and `client_id` have this type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opaque(Box<str>);

/// The text is empty or longer than 255 bytes.
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

/// The issuer of a token: a URL, compared byte for byte (RFC 9068 §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// The issuer with this URL.
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

/// A resource server that accepts a token. Names are compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audience(String);

impl Audience {
    /// The audience with this name.
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

/// The audiences of a token: at least one. A single audience is written as a string, several as an array (RFC 7519
/// §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audiences(Vec<Audience>);

impl Audiences {
    /// Returns `None` when `audiences` is empty: a token needs at least one audience.
    #[must_use]
    pub fn new(audiences: Vec<Audience>) -> Option<Self> {
        (!audiences.is_empty()).then_some(Self(audiences))
    }

    /// Whether the list contains `audience`.
    #[must_use]
    pub fn contains(&self, audience: &Audience) -> bool {
        self.0.contains(audience)
    }

    /// Iterates over the audiences.
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

/// Seconds since 1970-01-01T00:00:00Z (RFC 7519 §2). It is read from an integer or a float, and is never negative. A
/// fraction is cut off, so a token never lives longer than its claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(i64);

impl NumericDate {
    /// The largest number of seconds that a double holds exactly: 2^53.
    const FURTHEST: i64 = 1 << 53;

    /// The instant `seconds` seconds after 1970-01-01T00:00:00Z.
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

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}
