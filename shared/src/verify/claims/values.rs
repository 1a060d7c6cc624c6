//! What claims are made of: names, audiences and times, each read strictly.

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

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::Text::deserialize(deserializer)?.0.parse().map_err(de::Error::custom)
    }
}
