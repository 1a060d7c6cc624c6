//! The server's MAC keys for refresh tokens, by version.
//!
//! A new version can be added at any time. An older version stays valid until its sessions end.

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

/// One version of the MAC key.
pub struct RefreshKey {
    version: KeyVersion,
    /// The instant from which new tokens are derived from this key, unless a newer key has taken over.
    signs_from: Timestamp,
    key: Key,
}

impl RefreshKey {
    /// A key from its bytes.
    #[must_use]
    pub fn new(version: KeyVersion, signs_from: Timestamp, bytes: &[u8]) -> Self {
        Self { version, signs_from, key: Key::new(HMAC_SHA256, bytes) }
    }
}

/// A refresh token whose outer MAC is valid, so that this server made it.
///
/// The session may be gone, and the inner MAC is not checked yet.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticToken {
    /// The session that the token names.
    pub session: SessionId,
    /// The session's generation when the token was made: the number of rotations before it.
    pub generation: Generation,
    inner: Mac,
}

impl RefreshKeys {
    /// The keys, newest last. `None` when `keys` is empty.
    #[must_use]
    pub fn new(keys: Vec<RefreshKey>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The current refresh token of `session`.
    ///
    /// The token is derived from the session: the same generation always gives the same token, even after a newer key
    /// was added. So a retry gets the same successor, and no secret is stored.
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

    /// The CSRF value that unsafe requests by cookie must repeat: a MAC over the session id. It stays the same for
    /// the session's whole life.
    #[must_use]
    pub fn csrf(&self, session: &Session) -> Mac {
        let key = self.at(session.created_at);
        key.map_or_else(Mac::default, |RefreshKey { key, .. }| mac(key, &format!("csrf {}", session.id)))
    }

    /// A MAC of `text`, for a table that must not reveal what users typed. It stays the same as long as the oldest
    /// key is kept.
    #[must_use]
    pub fn mac(&self, text: &str) -> Mac {
        self.0.first().map_or_else(Mac::default, |RefreshKey { key, .. }| mac(key, text))
    }

    /// The key versions, newest last.
    pub fn versions(&self) -> impl Iterator<Item = KeyVersion> {
        self.0.iter().map(|key| key.version)
    }

    /// The key in use at `instant`. The oldest key when `instant` is before all keys, because the clock was set back.
    fn at(&self, instant: Timestamp) -> Option<&RefreshKey> {
        self.0.iter().rev().find(|key| key.signs_from <= instant).or(self.0.first())
    }

    /// Checks the outer MAC of `token`. `None` when this server did not make the token.
    ///
    /// The check runs in constant time and reads no database, so invalid tokens cost little.
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
    /// `true` when the inner MAC was made with the secret of `session`.
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
    cut(sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &generation.get().to_be_bytes()).as_ref())
}

fn mac(key: &Key, text: &str) -> Mac {
    cut(sign(key, text.as_bytes()).as_ref())
}

/// The first 128 bits of a MAC. They are as hard to guess as a 128-bit key.
fn cut(tag: &[u8]) -> Mac {
    let mut mac = Mac::default();
    mac.iter_mut().zip(tag).for_each(|(to, from)| *to = *from);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{account::AccountId, client::ClientId, session::Device};

    /// A session that began at 5 s and was last refreshed at `rotated_at`, in seconds.
    fn session(generation: u32, rotated_at: i64) -> Session {
        Session {
            id: SessionId::from_bytes([7; 16]),
            account: AccountId::from_bytes([2; 16]),
            client: ClientId::first_party(),
            secret: SessionSecret::from_bytes([1; 32]),
            generation: Generation::new(generation),
            created_at: Timestamp::from_unix_seconds(5),
            rotated_at: Timestamp::from_unix_seconds(rotated_at),
            device: Device::default(),
            revoked_at: None,
            ended_by: None,
        }
    }

    /// Keys of the given versions. Version n is in use from 10·n seconds on.
    fn keys(versions: &[u8]) -> RefreshKeys {
        let key = |&version: &u8| {
            let signs_from = Timestamp::from_unix_seconds(i64::from(version) * 10);
            RefreshKey::new(KeyVersion::new(version.into()), signs_from, &[version; 32])
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
