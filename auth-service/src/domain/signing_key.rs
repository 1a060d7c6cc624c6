//! The states of a signing key: next → active → retired → removed.
//!
//! A key is published well before it becomes active, and stays published until no token of it can be valid. So no
//! verifier meets a token whose key it can't know.

use std::time::Duration;

use countermark::clock::Timestamp;

/// Extra time until a new key is published by every process. A verifier may fetch the old key set until then.
const SETTLING: Duration = Duration::from_secs(1);

/// The state of a stored key. A removed key has no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The key is published, and does not sign yet.
    Next,
    /// The key signs new tokens.
    Active,
    /// The key no longer signs. Its tokens may still be valid.
    Retired,
}

impl KeyState {
    /// The state's name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// The instants at which a key entered each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// The instant of publication.
    pub published_at: Timestamp,
    /// The instant at which a rotation to this key was started.
    pub wanted_at: Option<Timestamp>,
    /// The instant at which the key became active.
    pub active_at: Option<Timestamp>,
    /// The instant at which the key was retired.
    pub retired_at: Option<Timestamp>,
}

impl KeyTimes {
    /// The state of the key.
    #[must_use]
    pub fn state(&self) -> KeyState {
        match (self.active_at, self.retired_at) {
            (None, _) => KeyState::Next,
            (Some(_), None) => KeyState::Active,
            (Some(_), Some(_)) => KeyState::Retired,
        }
    }

    /// The earliest instant at which the key may become active: by then every verifier that caches key sets for
    /// `max_age` has it.
    #[must_use]
    pub fn may_sign_at(&self, max_age: Duration) -> Timestamp {
        self.published_at.after(max_age).after(SETTLING)
    }

    /// The instant at which a retired key can be removed. `longest` is the longest time for which one of its tokens
    /// can be valid. `None` when the key is not retired.
    #[must_use]
    pub fn goes_at(&self, longest: Duration) -> Option<Timestamp> {
        Some(self.retired_at?.after(longest))
    }

    /// `true` when the key has been active for `max_age` or longer, so that a rotation is due.
    #[must_use]
    pub fn is_aged(&self, max_age: Duration, now: Timestamp) -> bool {
        self.active_at.is_some_and(|at| now >= at.after(max_age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn a_key_goes_through_its_life_in_order() {
        let next = KeyTimes { published_at: at(100), wanted_at: None, active_at: None, retired_at: None };
        let active = KeyTimes { active_at: Some(at(500)), ..next };
        let retired = KeyTimes { retired_at: Some(at(900)), ..active };
        assert_eq!(
            [next, active, retired].map(|key| key.state()),
            [KeyState::Next, KeyState::Active, KeyState::Retired]
        );
        assert_eq!(next.may_sign_at(Duration::from_mins(5)), at(401));
        assert_eq!((active.goes_at(Duration::ZERO), next.goes_at(Duration::ZERO)), (None, None));
        assert_eq!(retired.goes_at(Duration::from_mins(16)), Some(at(900 + 960)));
        let max_age = Duration::from_secs(1_000);
        assert!(!active.is_aged(max_age, at(1_499)) && active.is_aged(max_age, at(1_500)));
        assert!(!next.is_aged(max_age, at(9_999)));
    }
}
