//! The layout of a refresh token:
//!
//! The module `keys` makes and checks the two MACs.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::verify::REFRESH_TOKEN_PREFIX;

use super::session::{Generation, SessionId};

/// The version of a server key. The server key makes the outer MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyVersion(u16);

impl KeyVersion {
    /// The version of the first key.
    pub const FIRST: Self = Self(1);

    /// The version of that number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The version of the next key. `None` after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The first 128 bits of a MAC.
pub type Mac = [u8; 16];

/// Length of the part that the outer MAC covers, in bytes: everything before that MAC.
pub const SIGNED_BYTES: usize = 2 + 16 + 4 + 16;

/// Length of a whole token, in bytes. It is a multiple of three, so that base64url has no unused bits and each token
/// has one spelling.
const BYTES: usize = SIGNED_BYTES + 16;

/// A decoded refresh token. Neither MAC is checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The version of the server key that made the outer MAC.
    pub key_version: KeyVersion,
    /// The session that the token names.
    pub session: SessionId,
    /// The session's generation when the token was made: the number of rotations before it.
    pub generation: Generation,
    /// HMAC(session secret, generation).
    pub inner: Mac,
    /// HMAC(server key, all bytes before it).
    pub outer: Mac,
}

impl Parts {
    /// Decodes a token. `None` when the text does not have this layout.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let mut bytes = [0; BYTES + 3];
        let text = token.strip_prefix(REFRESH_TOKEN_PREFIX).filter(|text| text.len() == BYTES / 3 * 4)?;
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (key_version, rest) = bytes[..length].split_first_chunk()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (inner, rest) = rest.split_first_chunk()?;
        let (outer, rest) = rest.split_first_chunk()?;
        rest.is_empty().then_some(Self {
            key_version: KeyVersion::new(u16::from_be_bytes(*key_version)),
            session: SessionId::from_bytes(*session),
            generation: Generation::new(u32::from_be_bytes(*generation)),
            inner: *inner,
            outer: *outer,
        })
    }

    /// The bytes that the outer MAC covers.
    #[must_use]
    pub fn signed(&self) -> [u8; SIGNED_BYTES] {
        let mut bytes = [0; SIGNED_BYTES];
        bytes[..2].copy_from_slice(&self.key_version.get().to_be_bytes());
        bytes[2..18].copy_from_slice(self.session.as_bytes());
        bytes[18..22].copy_from_slice(&self.generation.get().to_be_bytes());
        bytes[22..].copy_from_slice(&self.inner);
        bytes
    }

    /// The token as text.
    #[must_use]
    pub fn to_token(&self) -> String {
        let mut token = String::with_capacity(REFRESH_TOKEN_PREFIX.len() + BYTES / 3 * 4);
        token.push_str(REFRESH_TOKEN_PREFIX);
        URL_SAFE_NO_PAD.encode_string([&self.signed()[..], &self.outer].concat(), &mut token);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts = Parts {
        key_version: KeyVersion::FIRST,
        session: SessionId::from_bytes([2; 16]),
        generation: Generation::new(3),
        inner: [4; 16],
        outer: [5; 16],
    };

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = PARTS.to_token();
        assert_eq!(token.len(), 75);
        assert_eq!(Parts::parse(&token), Some(PARTS));
    }

    #[test]
    fn a_token_has_one_spelling() {
        let token = PARTS.to_token();
        let padded = format!("{token}=");
        let longer = format!("{token}AAAA");
        for other in ["", "rt_", &token[3..], &token[..74], &padded, &longer, &token.replace("rt_", "RT_")] {
            assert_eq!(Parts::parse(other), None, "{other}");
        }
    }
}
