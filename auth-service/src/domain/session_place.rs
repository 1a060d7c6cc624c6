//! The place of a session among those of its account: a list is read page by page from there.

use std::{fmt, str::FromStr};

use countermark::clock::Timestamp;
use uuid::Uuid;

use super::session::SessionId;

/// A place in the order of an account's sessions. It stays valid when its session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPlace {
    /// The epoch in which the session began.
    pub epoch: i64,
    /// The instant of its login.
    pub created_at: Timestamp,
    /// Its id.
    pub id: SessionId,
}

/// The text is no [`SessionPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no place in a list of sessions")]
pub struct InvalidPlace;

impl SessionPlace {
    /// What its text looks like, as a regular expression.
    pub const PATTERN: &str = "^[0-9]{1,18}-[0-9]{1,18}-[0-9a-f]{32}$";
}

impl fmt::Display for SessionPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = Uuid::from_bytes(*self.id.as_bytes());
        write!(f, "{}-{}-{}", self.epoch, self.created_at.unix_millis().max(0), id.simple())
    }
}

impl FromStr for SessionPlace {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let number = |text: &str| {
            let is_plain = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain)
        };
        let [epoch, created_at, id] = text.split('-').collect::<Vec<_>>()[..] else {
            return Err(InvalidPlace);
        };
        let is_plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let id = Some(id).filter(|id| id.len() == 32 && id.bytes().all(is_plain));
        let id = id.and_then(|id| id.parse::<Uuid>().ok()).ok_or(InvalidPlace)?;
        Ok(Self {
            epoch: number(epoch).ok_or(InvalidPlace)?,
            created_at: Timestamp::from_unix_millis(number(created_at).ok_or(InvalidPlace)?),
            id: SessionId::from_bytes(*id.as_bytes()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_nothing_else_is() {
        let created_at = Timestamp::from_unix_millis(1_800_000_000_123);
        let place = SessionPlace { epoch: 7, created_at, id: SessionId::from_bytes([0xAB; 16]) };
        let text = place.to_string();
        assert_eq!(text, format!("7-1800000000123-{}", "ab".repeat(16)));
        assert_eq!(text.parse(), Ok(place));
        for other in [
            "",
            "-",
            "7-1",
            "7-1-",
            "x-1-ab",
            "+7-1-ab",
            "7--1-ab",
            "7-1-AB",
            &text.to_uppercase(),
            &format!("{text}-"),
        ] {
            assert_eq!(other.parse::<SessionPlace>(), Err(InvalidPlace), "{other:?}");
        }
    }
}
