//! How a refresh token is laid out:
//! `rt_` + base64url(key version ‖ session id ‖ generation ‖ inner ‖ outer).
//!
//! What the two MACs are made with is the business of the room `keys`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::verify::REFRESH_TOKEN_PREFIX;

use super::session::{Generation, SessionId};

/// The version of the server's key that made the outer MAC.
pub type KeyVersion = u16;

/// A MAC, cut to 128 bits.
pub type Mac = [u8; 16];

/// All of a refresh token but the outer MAC: what that MAC is over.
pub const SIGNED_BYTES: usize = 2 + 16 + 4 + 16;

/// All of it. A multiple of three, so that base64url has no unused bits and a token has one spelling.
const BYTES: usize = SIGNED_BYTES + 16;

/// A refresh token, taken apart. Nothing about it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Which of the server's keys made the outer MAC.
    pub key_version: KeyVersion,
    /// The session that it claims to be of.
    pub session: SessionId,
    /// How many rotations that session had seen when it was handed out.
    pub generation: Generation,
    /// HMAC(the session's own secret, generation).
    pub inner: Mac,
    /// HMAC(the server's key, all before it).
    pub outer: Mac,
}

impl Parts {
    /// Takes a token apart; `None` when it is none.
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
            key_version: KeyVersion::from_be_bytes(*key_version),
            session: SessionId::from_bytes(*session),
            generation: Generation::from_be_bytes(*generation),
            inner: *inner,
            outer: *outer,
        })
    }

    /// The bytes that the outer MAC is over.
    #[must_use]
    pub fn signed(&self) -> [u8; SIGNED_BYTES] {
        let mut bytes = [0; SIGNED_BYTES];
        bytes[..2].copy_from_slice(&self.key_version.to_be_bytes());
        bytes[2..18].copy_from_slice(self.session.as_bytes());
        bytes[18..22].copy_from_slice(&self.generation.to_be_bytes());
        bytes[22..].copy_from_slice(&self.inner);
        bytes
    }

    /// The token's text.
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
        key_version: 1,
        session: SessionId::from_bytes([2; 16]),
        generation: 3,
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
