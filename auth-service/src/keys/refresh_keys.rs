//! What refresh tokens are derived from and checked with: the server's MAC keys, by version. A new version can be added
//! at any time; older ones stay good until their sessions end.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hmac::{HMAC_SHA256, Key, sign},
};

use countermark::clock::Timestamp;

use crate::domain::{
    refresh_token::{KeyVersion, Mac, Parts},
    session::{Generation, Session, SessionId, SessionSecret},
};

/// The server's MAC keys, the newest last.
pub struct RefreshKeys(Vec<RefreshKey>);

/// One of them.
pub struct RefreshKey {
    version: KeyVersion,
    /// From when on new tokens are made with it, if no newer one makes them.
    signs_from: Timestamp,
    key: Key,
}

impl RefreshKey {
    /// The key of those bytes.
    #[must_use]
    pub fn new(version: KeyVersion, signs_from: Timestamp, bytes: &[u8]) -> Self {
        Self { version, signs_from, key: Key::new(HMAC_SHA256, bytes) }
    }
}

/// A refresh token that this server made: its outer MAC is right. Whether it is of a session that is still there, and of
/// that session's own secret, is not yet known.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticToken {
    /// The session that it says it is of.
    pub session: SessionId,
    /// How many rotations that session had seen.
    pub generation: Generation,
    inner: Mac,
}

impl RefreshKeys {
    /// Those keys, the newest last; `None` when there is none.
    #[must_use]
    pub fn new(keys: Vec<RefreshKey>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The live refresh token of `session`. It is derived: the same generation of a session has the same token, also when
    /// a newer key came in between, so that a retry gets the same successor and nothing secret has to be stored.
    #[must_use]
    pub fn token(&self, session: &Session) -> Option<String> {
        let RefreshKey { version, key, .. } = self.at(session.rotated_at)?;
        let mut parts = Parts {
            key_version: *version,
            session: session.id,
            generation: session.generation,
            inner: inner(&session.secret, session.generation),
            outer: Mac::default(),
        };
        parts.outer = cut(sign(key, &parts.signed()).as_ref());
        Some(parts.to_token())
    }

    /// What unsafe requests by cookie have to repeat: a MAC over the session's id, the same for its whole life.
    #[must_use]
    pub fn csrf(&self, session: &Session) -> Mac {
        let key = self.at(session.created_at);
        key.map_or_else(Mac::default, |RefreshKey { key, .. }| mac(key, &format!("csrf {}", session.id)))
    }

    /// A MAC of `text`, for a table that must not tell what people typed. It stays the same for as long as the oldest key
    /// is kept.
    #[must_use]
    pub fn mac(&self, text: &str) -> Mac {
        self.0.first().map_or_else(Mac::default, |RefreshKey { key, .. }| mac(key, text))
    }

    /// The versions, the newest last.
    pub fn versions(&self) -> impl Iterator<Item = KeyVersion> {
        self.0.iter().map(|key| key.version)
    }

    /// The key that made new tokens at that instant. With the clock set back to before there were keys: the oldest.
    fn at(&self, instant: Timestamp) -> Option<&RefreshKey> {
        self.0.iter().rev().find(|key| key.signs_from <= instant).or(self.0.first())
    }

    /// Whether this server made `token`: checked in constant time and without a database read, so that garbage costs
    /// nothing.
    #[must_use]
    pub fn open(&self, token: &str) -> Option<AuthenticToken> {
        let parts = Parts::parse(token)?;
        let RefreshKey { key, .. } = self.0.iter().find(|key| key.version == parts.key_version)?;
        let outer: Mac = cut(sign(key, &parts.signed()).as_ref());
        verify_slices_are_equal(&outer, &parts.outer).ok()?;
        Some(AuthenticToken { session: parts.session, generation: parts.generation, inner: parts.inner })
    }
}

impl AuthenticToken {
    /// Whether it was derived from that session's own secret, too.
    #[must_use]
    pub fn is_of(&self, session: &Session) -> bool {
        let expected = inner(&session.secret, self.generation);
        verify_slices_are_equal(&expected, &self.inner).is_ok()
    }
}

impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.versions()).finish()
    }
}

fn inner(secret: &SessionSecret, generation: Generation) -> Mac {
    cut(sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &generation.to_be_bytes()).as_ref())
}

fn mac(key: &Key, text: &str) -> Mac {
    cut(sign(key, text.as_bytes()).as_ref())
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
    use crate::domain::{account::AccountId, client::ClientId, session::Device};

    /// A session that was begun at 5 s and last refreshed at `rotated_at` seconds.
    fn session(generation: Generation, rotated_at: i64) -> Session {
        Session {
            id: SessionId::from_bytes([7; 16]),
            account: AccountId::from_bytes([2; 16]),
            client: ClientId::first_party(),
            secret: SessionSecret::from_bytes([1; 32]),
            generation,
            created_at: Timestamp::from_unix_seconds(5),
            rotated_at: Timestamp::from_unix_seconds(rotated_at),
            device: Device::default(),
            revoked_at: None,
        }
    }

    /// Keys by version, each of which makes tokens from as many times ten seconds on.
    fn keys(versions: &[u8]) -> RefreshKeys {
        let key = |&version: &u8| {
            let signs_from = Timestamp::from_unix_seconds(i64::from(version) * 10);
            RefreshKey::new(version.into(), signs_from, &[version; 32])
        };
        RefreshKeys::new(versions.iter().map(key).collect()).unwrap()
    }

    #[test]
    fn a_successor_is_derived_so_a_retry_gets_the_same() {
        let keys = keys(&[1]);
        assert_eq!(keys.token(&session(4, 10)), keys.token(&session(4, 10)));
        assert_ne!(keys.token(&session(4, 10)), keys.token(&session(5, 10)));
    }

    #[test]
    fn an_older_key_version_stays_good_after_a_newer_one_came() {
        let token = keys(&[1]).token(&session(0, 10)).unwrap();
        assert!(keys(&[1, 2]).open(&token).is_some());
        assert!(keys(&[2]).open(&token).is_none());
    }

    #[test]
    fn a_newer_key_makes_the_tokens_of_generations_that_begin_in_its_time() {
        let (older, both) = (keys(&[1]), keys(&[1, 2]));
        for rotated_at in [0, 10, 19] {
            assert_eq!(both.token(&session(1, rotated_at)), older.token(&session(1, rotated_at)));
        }
        let newer = both.token(&session(1, 20)).unwrap();
        assert_ne!(Some(&newer), older.token(&session(1, 20)).as_ref());
        assert!(older.open(&newer).is_none() && both.open(&newer).is_some());
        assert_eq!(
            both.csrf(&session(0, 10)),
            both.csrf(&session(9, 30)),
            "one value for the session's life"
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let keys = keys(&[1]);
        let token = keys.token(&session(0, 10)).unwrap();
        for position in 3..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert!(keys.open(std::str::from_utf8(&changed).unwrap()).is_none(), "byte {position}");
        }
    }
}
