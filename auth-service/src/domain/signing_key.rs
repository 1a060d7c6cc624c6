//! The life of a signing key: next → active → retired → gone. A key is published long before it signs, and for as long
//! after as a token of it may live, so that no verifier meets a token whose key it can't know.

use std::time::Duration;

use countermark::clock::Timestamp;

/// A key set that was fetched just before a key was published at every process is at hand that much longer.
const SETTLING: Duration = Duration::from_secs(1);

/// Where a key is in its life. One that is gone is nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and signs nothing yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more; tokens of it may live.
    Retired,
}

impl KeyState {
    /// The word that stands in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// When a key came into which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes {
    /// When it was published.
    pub published_at: Timestamp,
    /// When a rotation to it was started.
    pub wanted_at: Option<Timestamp>,
    /// When it began to sign.
    pub active_at: Option<Timestamp>,
    /// When it ceased to.
    pub retired_at: Option<Timestamp>,
}

impl KeyTimes {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> KeyState {
        match (self.active_at, self.retired_at) {
            (None, _) => KeyState::Next,
            (Some(_), None) => KeyState::Active,
            (Some(_), Some(_)) => KeyState::Retired,
        }
    }

    /// From when on it may sign: by then whoever keeps key sets for `max_age` has it.
    #[must_use]
    pub fn may_sign_at(&self, max_age: Duration) -> Timestamp {
        self.published_at.after(max_age).after(SETTLING)
    }

    /// When it goes, if it is retired: `longest` after that, for which a token of it could be alive at most.
    #[must_use]
    pub fn goes_at(&self, longest: Duration) -> Option<Timestamp> {
        Some(self.retired_at?.after(longest))
    }

    /// Whether it has signed for so long that another is to take over.
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
