//! Limits on login attempts.

use std::{str::FromStr, time::Duration};

use countermark::clock::Timestamp;

/// A number of attempts per span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of attempts.
    pub count: u32,
    /// The span of time.
    pub per: Duration,
}

/// The limits on logins and registrations. `None` switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Failed logins per canonical email address, whether an account has it or not.
    pub account: Option<Rate>,
    /// Attempts per client address. An IPv6 address counts as its /64 network.
    pub address: Option<Rate>,
    /// Attempts of all clients together.
    pub global: Option<Rate>,
}

impl Rate {
    /// Counts an attempt by the generic cell rate algorithm.
    ///
    /// `forgotten_at` is the instant at which all earlier attempts are forgotten. Returns the new such instant. Each
    /// attempt is forgotten after its share of the span, so that a limit that was reached opens again step by step.
    ///
    /// # Errors
    /// [`Wait`] when the limit is reached.
    pub fn take(self, forgotten_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Wait> {
        // An instant further ahead than all attempts together can reach was stored by a clock that was set back
        // since. It is ignored: it would lock out an honest user until that instant.
        let used =
            forgotten_at.filter(|&at| at <= now.after(self.per)).map_or(Duration::ZERO, |at| at.since(now));
        Ok(now.after(self.fill(used)?))
    }

    /// Counts an attempt, when the earlier ones are forgotten after `used`. Returns after how long all are.
    ///
    /// # Errors
    /// [`Wait`] when the limit is reached.
    pub fn fill(self, used: Duration) -> Result<Duration, Wait> {
        let filled = used.saturating_add(self.per / self.count);
        if filled > self.per { Err(Wait(filled.saturating_sub(self.per))) } else { Ok(filled) }
    }

    /// Removes one counted attempt. Returns the instant at which the remaining ones are forgotten.
    #[must_use]
    pub fn give_back(self, forgotten_at: Timestamp) -> Timestamp {
        forgotten_at.before(self.per / self.count)
    }
}

/// The limit is reached. Holds the time until the next permitted attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl LoginLimits {
    const OFF: Self = Self { account: None, address: None, global: None };

    /// The defaults of limits that the setting does not name.
    const DEFAULT: Self = Self {
        account: Some(Rate { count: 10, per: Duration::from_mins(1) }),
        address: Some(Rate { count: 100, per: Duration::from_mins(1) }),
        global: None,
    };
}

/// The text is not a list of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no list of limits; write it like account=10/min,address=100/min,global=off, or off")]
pub struct InvalidLimits;

impl FromStr for LoginLimits {
    type Err = InvalidLimits;

    fn from_str(text: &str) -> Result<Self, InvalidLimits> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let mut limits = Self::DEFAULT;
        let Self { account, address, global } = &mut limits;
        read_limits(text, [("account", account), ("address", address), ("global", global)])?;
        Ok(limits)
    }
}

/// Reads a list such as `account=10/min,global=off` into the limits that it names.
///
/// # Errors
/// [`InvalidLimits`] when the text is no such list, names another limit, or names one twice.
pub fn read_limits<const N: usize>(
    text: &str,
    limits: [(&str, &mut Option<Rate>); N],
) -> Result<(), InvalidLimits> {
    let mut unnamed: Vec<_> = limits.into_iter().collect();
    for entry in text.split(',') {
        let (name, rate) = entry.trim().split_once('=').ok_or(InvalidLimits)?;
        let at = unnamed.iter().position(|(known, _)| *known == name).ok_or(InvalidLimits)?;
        let (_, limit) = unnamed.swap_remove(at);
        *limit = if rate == "off" { None } else { Some(rate.parse()?) };
    }
    Ok(())
}

impl FromStr for Rate {
    type Err = InvalidLimits;

    fn from_str(text: &str) -> Result<Self, InvalidLimits> {
        let (count, unit) = text.split_once('/').ok_or(InvalidLimits)?;
        let per = match unit {
            "s" | "sec" => Duration::from_secs(1),
            "m" | "min" => Duration::from_mins(1),
            "h" | "hour" => Duration::from_hours(1),
            "d" | "day" => Duration::from_hours(24),
            _ => return Err(InvalidLimits),
        };
        let count = count.parse().ok().filter(|&count| count > 0).ok_or(InvalidLimits)?;
        Ok(Self { count, per })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_not_named_keep_their_default() {
        assert_eq!("account=10/min,address=100/min,global=off".parse(), Ok(LoginLimits::DEFAULT));
        assert_eq!("global=off".parse(), Ok(LoginLimits::DEFAULT));
        assert_eq!("off".parse(), Ok(LoginLimits::OFF));
        let limits: LoginLimits = "account=off,global=5/hour".parse().unwrap();
        assert_eq!(limits.account, None);
        assert_eq!(limits.global, Some(Rate { count: 5, per: Duration::from_hours(1) }));
    }

    #[test]
    fn a_limit_that_was_reached_opens_bit_by_bit() {
        let rate: Rate = "10/min".parse().unwrap();
        let at = Timestamp::from_unix_seconds;
        let mut forgotten_at = None;
        for _ in 0..10 {
            forgotten_at = Some(rate.take(forgotten_at, at(0)).unwrap());
        }
        assert_eq!(rate.take(forgotten_at, at(0)), Err(Wait(Duration::from_secs(6))));
        assert!(rate.take(forgotten_at, at(6)).is_ok());
        assert_eq!(rate.take(forgotten_at, at(5)), Err(Wait(Duration::from_secs(1))));
        assert_eq!(rate.take(forgotten_at, at(60)), Ok(at(66)));
    }

    #[test]
    fn a_try_that_was_none_is_given_back() {
        let rate: Rate = "1/min".parse().unwrap();
        let taken = rate.take(None, Timestamp::from_unix_seconds(0)).unwrap();
        assert!(rate.take(Some(rate.give_back(taken)), Timestamp::from_unix_seconds(0)).is_ok());
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let rate: Rate = "10/min".parse().unwrap();
        let ahead = Some(Timestamp::from_unix_seconds(1_000_000));
        let taken = rate.take(ahead, Timestamp::from_unix_seconds(0));
        assert_eq!(taken, Ok(Timestamp::from_unix_seconds(6)));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in
            ["", "account", "account=0/min", "account=1/year", "a=1/min", "account=1/min,account=2/min", "on"]
        {
            assert_eq!(text.parse::<LoginLimits>(), Err(InvalidLimits), "{text:?}");
        }
    }
}
