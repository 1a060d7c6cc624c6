//! Sessions: a login begins one. Decides what each refresh token may do in its session. The rule is "single
//! successor": a session has one current refresh token.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use countermark::{
    clock::Timestamp,
    random::{Random, Unavailable},
    verify::Seq,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{account::AccountId, client::ClientId};

/// Smallest accepted age of a rotation, in milliseconds: −60 s. The age is negative when the clock was set back.
const CLOCK_SET_BACK: i64 = -60_000;

/// The id of a session. It is the `sid` of the session's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Generates an id.
    pub fn random(random: &dyn Random) -> Result<Self, Unavailable> {
        Ok(Self(uuid::Builder::from_random_bytes(random.bytes()?).into_uuid()))
    }

    /// An id from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
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

/// The secret of a session. Refresh tokens are derived from it and from the server key, so that neither the database
/// nor the server key alone is enough to forge one.
#[derive(Clone)]
pub struct SessionSecret(Zeroizing<[u8; 32]>);

impl SessionSecret {
    /// Generates a secret.
    pub fn random(random: &dyn Random) -> Result<Self, Unavailable> {
        Ok(Self(Zeroizing::new(random.bytes()?)))
    }

    /// A secret from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes of the secret.
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

/// The number of rotations of a session's refresh token. It counts up from 0 and never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u32);

impl Generation {
    /// The generation after so many rotations.
    #[must_use]
    pub const fn new(rotations: u32) -> Self {
        Self(rotations)
    }

    /// How many rotations there were.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The generation after one more rotation.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The device that a session is used from, as far as the request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The `User-Agent` header, truncated to 255 characters.
    pub user_agent: Option<String>,
    /// The client's network address, as text.
    pub address: Option<String>,
}

impl Device {
    /// The client's network address, parsed.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address.as_deref().and_then(|address| address.parse().ok())
    }
}

/// The lifetimes of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A session ends when it was not refreshed for this long.
    pub idle: Duration,
    /// A session ends this long after its login, even if it is refreshed.
    pub absolute: Duration,
    /// The grace window: for this long after a rotation, the predecessor returns the same successor.
    pub grace: Duration,
}

/// A session. A login begins it, and its refresh tokens continue it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The id: the `sid` of the session's tokens.
    pub id: SessionId,
    /// The account that logged in.
    pub account: AccountId,
    /// The client that the refresh tokens are issued to.
    pub client: ClientId,
    /// The session's secret, from which its refresh tokens are derived.
    pub secret: SessionSecret,
    /// The generation of the current refresh token.
    pub generation: Generation,
    /// The instant of the login: the last time at which the user gave credentials.
    pub created_at: Timestamp,
    /// The instant at which the current refresh token was first issued.
    pub rotated_at: Timestamp,
    /// The device of the last use.
    pub device: Device,
    /// The instant at which the session was ended before its lifetime was over.
    pub revoked_at: Option<Timestamp>,
    /// The entry of the revocation log by which it was ended. `None` when it was ended by an earlier version, too.
    pub ended_by: Option<Seq>,
}

/// The decision on a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token is the current one: rotate.
    Rotate,
    /// The token is the immediate predecessor, within the grace window: return the same successor again, because the
    /// client may have lost the answer.
    Repeat,
    /// The token was spent before the grace window, or is repeated from another device: somebody may hold a copy.
    Reuse,
    /// The generation is newer than the session's: the database is older than the token.
    Unknown,
    /// The session is over: it was ended, was idle for too long, or reached its absolute lifetime.
    Over,
}

impl Session {
    /// Decides on a refresh token of `generation` that `device` presents at `now`.
    #[must_use]
    pub fn decide(
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
        // The window starts at the rotation. Repeats don't change `rotated_at`, so they never extend the window.
        let age = now - self.rotated_at;
        let grace = i64::try_from(lifetimes.grace.as_millis()).unwrap_or(i64::MAX);
        // A retry comes from the same user agent, but may come from another address.
        let is_same_client = device.user_agent == self.device.user_agent;
        if generation.next() == self.generation && (CLOCK_SET_BACK..=grace).contains(&age) && is_same_client {
            Verdict::Repeat
        } else {
            Verdict::Reuse
        }
    }

    /// `true` while the session was not ended and its lifetime is not over.
    #[must_use]
    pub fn is_live(&self, now: Timestamp, lifetimes: &Lifetimes) -> bool {
        self.revoked_at.is_none() && !self.remaining(now, lifetimes).is_zero()
    }

    /// The remaining lifetime of the current refresh token: until the idle or the absolute limit, whichever comes
    /// first.
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

    fn session(generation: u32, rotated_at: i64) -> Session {
        Session {
            id: SessionId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            client: ClientId::first_party(),
            secret: SessionSecret::from_bytes([3; 32]),
            generation: Generation::new(generation),
            created_at: Timestamp::from_unix_seconds(0),
            rotated_at: Timestamp::from_unix_seconds(rotated_at),
            device: Device::default(),
            revoked_at: None,
            ended_by: None,
        }
    }

    fn decide(presented: u32, at: i64) -> Verdict {
        session(5, 1_000).decide(
            Generation::new(presented),
            &Device::default(),
            Timestamp::from_unix_seconds(at),
            &LIFETIMES,
        )
    }

    #[test]
    fn the_live_token_rotates_until_the_session_is_over() {
        assert_eq!(decide(5, 1_000), Verdict::Rotate);
        assert_eq!(decide(5, 1_000 + 3_599), Verdict::Rotate);
        assert_eq!(decide(5, 1_000 + 3_600), Verdict::Over);
        assert_eq!(
            session(5, 35_990).decide(
                Generation::new(5),
                &Device::default(),
                Timestamp::from_unix_seconds(36_000),
                &LIFETIMES
            ),
            Verdict::Over
        );
    }

    #[test]
    fn the_predecessor_repeats_within_the_window_and_is_reuse_after_it() {
        assert_eq!(decide(4, 1_000), Verdict::Repeat);
        assert_eq!(decide(4, 1_010), Verdict::Repeat);
        assert_eq!(decide(4, 1_011), Verdict::Reuse);
        assert_eq!(decide(3, 1_000), Verdict::Reuse);
    }

    #[test]
    fn a_clock_set_back_by_more_than_a_minute_ends_the_window() {
        assert_eq!(decide(4, 940), Verdict::Repeat);
        assert_eq!(decide(4, 939), Verdict::Reuse);
        assert_eq!(decide(5, 0), Verdict::Rotate);
    }

    #[test]
    fn a_generation_from_the_future_is_unknown() {
        assert_eq!(decide(6, 1_000), Verdict::Unknown);
    }

    #[test]
    fn a_retry_from_another_device_is_reuse_and_from_another_address_is_not() {
        let now = Timestamp::from_unix_seconds(1_005);
        let elsewhere = Device { user_agent: None, address: Some("203.0.113.7".to_owned()) };
        assert_eq!(
            session(5, 1_000).decide(Generation::new(4), &elsewhere, now, &LIFETIMES),
            Verdict::Repeat
        );
        let another = Device { user_agent: Some("curl".to_owned()), address: None };
        assert_eq!(session(5, 1_000).decide(Generation::new(4), &another, now, &LIFETIMES), Verdict::Reuse);
        assert_eq!(session(5, 1_000).decide(Generation::new(5), &another, now, &LIFETIMES), Verdict::Rotate);
    }

    #[test]
    fn a_session_that_was_ended_is_over() {
        let ended = Session { revoked_at: Some(Timestamp::from_unix_seconds(1_001)), ..session(5, 1_000) };
        let now = Timestamp::from_unix_seconds(1_002);
        assert_eq!(ended.decide(Generation::new(5), &Device::default(), now, &LIFETIMES), Verdict::Over);
        assert_eq!(ended.decide(Generation::new(3), &Device::default(), now, &LIFETIMES), Verdict::Over);
    }
}
