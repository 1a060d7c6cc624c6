//! Names of signing keys. A type of their own, so that no other text is looked up in a key set by mistake.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::verify::{InvalidOpaque, json};

/// The name of a signing key (`kid`, RFC 7515 §4.1.4): 1 to 255 bytes. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(Arc<str>);

impl Kid {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Cow<'_, str>> for Kid {
    type Error = InvalidOpaque;

    fn try_from(text: Cow<'_, str>) -> Result<Self, InvalidOpaque> {
        match text.len() {
            1..=255 => Ok(Self(text.into())),
            _ => Err(InvalidOpaque),
        }
    }
}

impl FromStr for Kid {
    type Err = InvalidOpaque;

    fn from_str(text: &str) -> Result<Self, InvalidOpaque> {
        Cow::Borrowed(text).try_into()
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Kid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json::Text(text) = json::Text::deserialize(deserializer)?;
        text.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_has_1_to_255_bytes() {
        for (length, is_kid) in [(0, false), (1, true), (255, true), (256, false)] {
            let text = "k".repeat(length);
            assert_eq!(
                text.parse::<Kid>().map(|kid| kid.to_string()),
                is_kid.then_some(text).ok_or(InvalidOpaque)
            );
        }
    }
}
