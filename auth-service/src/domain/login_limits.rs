//! How often a login may be tried.

use std::{str::FromStr, time::Duration};

/// So many in such a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

/// The limits on logins and registrations. `None` switches one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Failures per canonical email address, known or not.
    pub account: Option<Rate>,
    /// Tries per client address; an IPv6 address is its /64.
    pub address: Option<Rate>,
    /// Tries of everybody together.
    pub global: Option<Rate>,
}

impl LoginLimits {
    const OFF: Self = Self { account: None, address: None, global: None };

    /// What holds for the limits that are not named.
    const DEFAULT: Self = Self {
        account: Some(Rate { count: 10, per: Duration::from_mins(1) }),
        address: Some(Rate { count: 100, per: Duration::from_mins(1) }),
        global: None,
    };
}

/// A text that is no list of limits.
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
        let mut named = Vec::new();
        for entry in text.split(',') {
            let (name, rate) = entry.trim().split_once('=').ok_or(InvalidLimits)?;
            if named.contains(&name) {
                return Err(InvalidLimits);
            }
            named.push(name);
            let limit = match name {
                "account" => &mut limits.account,
                "address" => &mut limits.address,
                "global" => &mut limits.global,
                _ => return Err(InvalidLimits),
            };
            *limit = if rate == "off" { None } else { Some(rate.parse()?) };
        }
        Ok(limits)
    }
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
    fn what_is_no_limit_is_refused() {
        for text in
            ["", "account", "account=0/min", "account=1/year", "a=1/min", "account=1/min,account=2/min", "on"]
        {
            assert_eq!(text.parse::<LoginLimits>(), Err(InvalidLimits), "{text:?}");
        }
    }
}
