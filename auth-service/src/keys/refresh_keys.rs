//! What refresh tokens are derived from and checked with: the server's MAC keys, by version. A new version can be added
//! at any time; older ones stay good until their sessions end.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hmac::{HMAC_SHA256, Key, sign},
};

use crate::domain::{
    refresh_token::{KeyVersion, Mac, Parts},
    session::{Generation, Session, SessionId, SessionSecret},
};

/// The server's MAC keys, the newest last.
pub struct RefreshKeys(Vec<(KeyVersion, Key)>);

/// A refresh token that this server made: its outer MAC is right. Whether it is of a session that is still there, and of
/// that session's own secret, is not yet known.
#[derive(Clone, Copy, Debug)]
pub struct Genuine {
    /// The session that it says it is of.
    pub session: SessionId,
    /// How many rotations that session had seen.
    pub generation: Generation,
    inner: Mac,
}

impl RefreshKeys {
    /// Those keys, the newest last; `None` when there is none.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (KeyVersion, impl AsRef<[u8]>)>) -> Option<Self> {
        let keys: Vec<_> =
            keys.into_iter().map(|(version, key)| (version, Key::new(HMAC_SHA256, key.as_ref()))).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The refresh token of `session` at `generation`. It is derived: the same session and generation have the same
    /// token, so that a retry gets the same successor and nothing secret has to be stored.
    #[must_use]
    pub fn token(
        &self,
        session: SessionId,
        secret: &SessionSecret,
        generation: Generation,
    ) -> Option<String> {
        let (key_version, key) = self.0.last()?;
        let inner = inner(secret, generation);
        let mut parts =
            Parts { key_version: *key_version, session, generation, inner, outer: Mac::default() };
        parts.outer = cut(sign(key, &parts.signed()).as_ref());
        Some(parts.to_token())
    }

    /// A MAC of `text`, for a table that must not tell what people typed. It stays the same when newer keys come.
    #[must_use]
    pub fn mac(&self, text: &str) -> Mac {
        self.0.first().map_or_else(Mac::default, |(_, key)| cut(sign(key, text.as_bytes()).as_ref()))
    }

    /// Whether this server made `token`: checked in constant time and without a database read, so that garbage costs
    /// nothing.
    #[must_use]
    pub fn open(&self, token: &str) -> Option<Genuine> {
        let parts = Parts::parse(token)?;
        let (_, key) = self.0.iter().find(|(version, _)| *version == parts.key_version)?;
        let outer: Mac = cut(sign(key, &parts.signed()).as_ref());
        verify_slices_are_equal(&outer, &parts.outer).ok()?;
        Some(Genuine { session: parts.session, generation: parts.generation, inner: parts.inner })
    }
}

impl Genuine {
    /// Whether it was derived from that session's own secret, too.
    #[must_use]
    pub fn is_of(&self, session: &Session) -> bool {
        let expected = inner(&session.secret, self.generation);
        verify_slices_are_equal(&expected, &self.inner).is_ok()
    }
}

impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(version, _)| version)).finish()
    }
}

fn inner(secret: &SessionSecret, generation: Generation) -> Mac {
    cut(sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &generation.to_be_bytes()).as_ref())
}

/// The first 128 bits: as hard to guess as a key of that length.
fn cut(tag: &[u8]) -> Mac {
    let mut mac = Mac::default();
    mac.iter_mut().zip(tag).for_each(|(to, from)| *to = *from);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId::from_bytes([7; 16]);

    fn keys(versions: &[KeyVersion]) -> RefreshKeys {
        RefreshKeys::new(versions.iter().map(|&version| (version, [u8::try_from(version).unwrap(); 32])))
            .unwrap()
    }

    #[test]
    fn a_successor_is_derived_so_a_retry_gets_the_same() {
        let (keys, secret) = (keys(&[1]), SessionSecret::from_bytes([1; 32]));
        assert_eq!(keys.token(SESSION, &secret, 4), keys.token(SESSION, &secret, 4));
        assert_ne!(keys.token(SESSION, &secret, 4), keys.token(SESSION, &secret, 5));
    }

    #[test]
    fn an_older_key_version_stays_good_after_a_newer_one_came() {
        let secret = SessionSecret::from_bytes([1; 32]);
        let token = keys(&[1]).token(SESSION, &secret, 0).unwrap();
        assert!(keys(&[1, 2]).open(&token).is_some());
        assert!(keys(&[2]).open(&token).is_none());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (keys, secret) = (keys(&[1]), SessionSecret::from_bytes([1; 32]));
        let token = keys.token(SESSION, &secret, 0).unwrap();
        for position in 3..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert!(keys.open(std::str::from_utf8(&changed).unwrap()).is_none(), "byte {position}");
        }
    }
}
