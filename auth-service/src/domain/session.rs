//! Sessions: what a login begins, and what a refresh token may do in one ("Single successor").

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use countermark::{
    clock::Timestamp,
    random::{Random, Unavailable},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{account::AccountId, client::ClientId};

/// How far the clock may have been set back since a rotation: −60 s.
const CLOCK_SET_BACK: i64 = -60_000;

/// The `sid` of the session's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new id.
    ///
    /// # Errors
    /// [`Unavailable`] when there is no randomness to be had.
    pub fn random(random: &dyn Random) -> Result<Self, Unavailable> {
        Ok(Self(uuid::Builder::from_random_bytes(random.bytes()?).into_uuid()))
    }

    /// The id of those 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The session's own secret: half of what its refresh tokens are derived from. The other half is the server's key, so
/// that neither the database nor the key alone forges one.
#[derive(Clone)]
pub struct SessionSecret(Zeroizing<[u8; 32]>);

impl SessionSecret {
    /// A new secret.
    ///
    /// # Errors
    /// [`Unavailable`] when there is no randomness to be had.
    pub fn random(random: &dyn Random) -> Result<Self, Unavailable> {
        Ok(Self(Zeroizing::new(random.bytes()?)))
    }

    /// The secret of those bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

/// How often a session's refresh token has been rotated. It counts up from 0 and never back.
pub type Generation = u32;

/// Where a session is used from, as far as the request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// `User-Agent`, cut to 255 characters.
    pub user_agent: Option<String>,
    /// The client's address.
    pub address: Option<String>,
}

impl Device {
    /// The client's address, as an address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address.as_deref().and_then(|address| address.parse().ok())
    }
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A session that was not refreshed for that long is over.
    pub idle: Duration,
    /// A session is over that long after its login, whatever is done in it.
    pub absolute: Duration,
    /// For how long after a rotation the predecessor returns the same successor.
    pub grace: Duration,
}

/// What a login begins, and what its refresh tokens are judged by.
#[derive(Clone, Debug)]
pub struct Session {
    /// The `sid` of its tokens.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// The client that its refresh tokens were issued to.
    pub client: ClientId,
    /// Half of what its refresh tokens are derived from.
    pub secret: SessionSecret,
    /// The generation of its one live refresh token.
    pub generation: Generation,
    /// When the login was; also when the user last gave credentials.
    pub created_at: Timestamp,
    /// When the live refresh token was first handed out.
    pub rotated_at: Timestamp,
    /// Where it was last used from.
    pub device: Device,
    /// When it was ended before its time.
    pub revoked_at: Option<Timestamp>,
}

/// What is done about a refresh token of a given generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the live one: rotate.
    Rotate,
    /// It is the immediate predecessor, within the grace window: the answer was lost, so the same successor again.
    Repeat,
    /// It was spent long ago, or is repeated from another device: somebody holds a copy.
    Reuse,
    /// It is of a generation that was never handed out here: the database is older than the token.
    Unknown,
    /// The session is over: ended, idle for too long, or at its absolute end.
    Over,
}

impl Session {
    /// TrustedIssuers a refresh token of `generation`, presented at `now` from `device`.
    #[must_use]
    pub fn judge(
        &self,
        generation: Generation,
        device: &Device,
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) -> Verdict {
        if !self.is_live(now, lifetimes) {
            return Verdict::Over;
        }
        if generation == self.generation {
            return Verdict::Rotate;
        }
        if generation > self.generation {
            return Verdict::Unknown;
        }
        // The window runs from the rotation itself; repeats don't move `rotated_at`, so they never extend it.
        let age = now - self.rotated_at;
        let grace = i64::try_from(lifetimes.grace.as_millis()).unwrap_or(i64::MAX);
        // A client that retries has the same name, but not always the same address.
        let is_same_client = device.user_agent == self.device.user_agent;
        if generation + 1 == self.generation && (CLOCK_SET_BACK..=grace).contains(&age) && is_same_client {
            Verdict::Repeat
        } else {
            Verdict::Reuse
        }
    }

    /// Whether it goes on: not ended, and not come to its end.
    #[must_use]
    pub fn is_live(&self, now: Timestamp, lifetimes: &Lifetimes) -> bool {
        self.revoked_at.is_none() && !self.remaining(now, lifetimes).is_zero()
    }

    /// How long its live refresh token is good for: the nearer of the idle and the absolute end.
    #[must_use]
    pub fn remaining(&self, now: Timestamp, lifetimes: &Lifetimes) -> Duration {
        let idle = self.rotated_at.after(lifetimes.idle).since(now);
        let absolute = self.created_at.after(lifetimes.absolute).since(now);
        idle.min(absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        idle: Duration::from_hours(1),
        absolute: Duration::from_hours(10),
        grace: Duration::from_secs(10),
    };

    fn session(generation: Generation, rotated_at: i64) -> Session {
        Session {
            id: SessionId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            client: ClientId::first_party(),
            secret: SessionSecret::from_bytes([3; 32]),
            generation,
            created_at: Timestamp::from_unix_seconds(0),
            rotated_at: Timestamp::from_unix_seconds(rotated_at),
            device: Device::default(),
            revoked_at: None,
        }
    }

    fn judge(presented: Generation, at: i64) -> Verdict {
        session(5, 1_000).judge(presented, &Device::default(), Timestamp::from_unix_seconds(at), &LIFETIMES)
    }

    #[test]
    fn the_live_token_rotates_until_the_session_is_over() {
        assert_eq!(judge(5, 1_000), Verdict::Rotate);
        assert_eq!(judge(5, 1_000 + 3_599), Verdict::Rotate);
        assert_eq!(judge(5, 1_000 + 3_600), Verdict::Over);
        assert_eq!(
            session(5, 35_990).judge(5, &Device::default(), Timestamp::from_unix_seconds(36_000), &LIFETIMES),
            Verdict::Over
        );
    }

    #[test]
    fn the_predecessor_repeats_within_the_window_and_is_reuse_after_it() {
        assert_eq!(judge(4, 1_000), Verdict::Repeat);
        assert_eq!(judge(4, 1_010), Verdict::Repeat);
        assert_eq!(judge(4, 1_011), Verdict::Reuse);
        assert_eq!(judge(3, 1_000), Verdict::Reuse);
    }

    #[test]
    fn a_clock_set_back_by_more_than_a_minute_ends_the_window() {
        assert_eq!(judge(4, 940), Verdict::Repeat);
        assert_eq!(judge(4, 939), Verdict::Reuse);
        assert_eq!(judge(5, 0), Verdict::Rotate);
    }

    #[test]
    fn a_generation_from_the_future_is_unknown() {
        assert_eq!(judge(6, 1_000), Verdict::Unknown);
    }

    #[test]
    fn a_retry_from_another_device_is_reuse_and_from_another_address_is_not() {
        let now = Timestamp::from_unix_seconds(1_005);
        let elsewhere = Device { user_agent: None, address: Some("203.0.113.7".to_owned()) };
        assert_eq!(session(5, 1_000).judge(4, &elsewhere, now, &LIFETIMES), Verdict::Repeat);
        let another = Device { user_agent: Some("curl".to_owned()), address: None };
        assert_eq!(session(5, 1_000).judge(4, &another, now, &LIFETIMES), Verdict::Reuse);
        assert_eq!(session(5, 1_000).judge(5, &another, now, &LIFETIMES), Verdict::Rotate);
    }

    #[test]
    fn a_session_that_was_ended_is_over() {
        let ended = Session { revoked_at: Some(Timestamp::from_unix_seconds(1_001)), ..session(5, 1_000) };
        let now = Timestamp::from_unix_seconds(1_002);
        assert_eq!(ended.judge(5, &Device::default(), now, &LIFETIMES), Verdict::Over);
        assert_eq!(ended.judge(3, &Device::default(), now, &LIFETIMES), Verdict::Over);
    }
}
