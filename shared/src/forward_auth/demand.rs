//! A demand: the requirements on a caller's token. It comes from a rule, or from the proxy's configuration of one
//! route.

use std::{borrow::Cow, time::Duration};

use crate::{
    clock::Timestamp,
    verify::{Audience, AuthError, Claims, Requirement, TokenError},
};

/// Requirements beyond a live token. The default adds none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    requirement: Requirement,
    audiences: Vec<Audience>,
    asks: bool,
}

/// A demand that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDemand {
    /// No requirement has this name. A typing error must not open a route.
    #[error("nothing can be asked by the name {0:?}; there are scope, role, audience, fresh and max_age")]
    Unknown(String),
    /// The value is not valid for this name.
    #[error("{0} can't be {1:?}")]
    Value(&'static str, String),
}

impl Demand {
    /// Parses name and value pairs. `scope` and `role` may occur several times, or hold several words separated by
    /// blanks. The other names are `audience`, `fresh=true`, and `max_age` in seconds or as `5m`.
    ///
    /// # Errors
    /// [`InvalidDemand`] for the first pair that cannot be parsed.
    pub fn of<'a>(
        pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self, InvalidDemand> {
        let mut demand = Self::default();
        for (name, value) in pairs {
            demand = demand.and(&name, &value)?;
        }
        Ok(demand)
    }

    /// Adds one requirement.
    pub(super) fn and(mut self, name: &str, value: &str) -> Result<Self, InvalidDemand> {
        let refused = |name| Err(InvalidDemand::Value(name, value.chars().take(80).collect()));
        let is_list = !value.is_empty() && value.split(' ').all(|word| !word.is_empty());
        let ask = |requirement: Requirement, ask: fn(Requirement, String) -> Requirement| {
            value.split(' ').fold(requirement, |asked, word| ask(asked, word.to_owned()))
        };
        self.asks = true;
        match name {
            "scope" if is_list => self.requirement = ask(self.requirement, Requirement::scope),
            "scope" => return refused("scope"),
            "role" if is_list => self.requirement = ask(self.requirement, Requirement::role),
            "role" => return refused("role"),
            "audience" if !value.is_empty() => self.audiences.push(Audience::new(value)),
            "audience" => return refused("audience"),
            "fresh" if value == "true" => self.requirement = self.requirement.fresh(),
            "fresh" => return refused("fresh"),
            "max_age" => match max_age(value) {
                Some(max_age) => self.requirement = self.requirement.max_age(max_age),
                None => return refused("max_age"),
            },
            other => return Err(InvalidDemand::Unknown(other.chars().take(80).collect())),
        }
        Ok(self)
    }

    /// Whether the demand requires anything beyond a live token.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Checks that `claims` meet the whole demand.
    ///
    /// # Errors
    /// [`AuthError`] for the first requirement that is not met.
    pub fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), AuthError> {
        if self.audiences.iter().any(|audience| !claims.aud.contains(audience)) {
            return Err(TokenError::Audience.into());
        }
        self.requirement.check(claims, now)
    }
}

fn max_age(text: &str) -> Option<Duration> {
    let seconds = text.parse().map(Duration::from_secs);
    seconds.ok().or_else(|| humantime::parse_duration(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Result<Demand, InvalidDemand> {
        Demand::of(pairs.iter().map(|&(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn each_name_is_asked_as_it_says() {
        let live = Requirement::live;
        assert_eq!(of(&[]).unwrap(), Demand::default());
        let scopes = live().scope("a").scope("b").scope("c");
        assert_eq!(of(&[("scope", "a b"), ("scope", "c")]).unwrap().requirement, scopes);
        assert_eq!(of(&[("role", "admin")]).unwrap().requirement, live().role("admin"));
        assert_eq!(of(&[("fresh", "true")]).unwrap().requirement, live().fresh());
        for text in ["300", "5m", "300s"] {
            let max_age = live().max_age(Duration::from_mins(5));
            assert_eq!(of(&[("max_age", text)]).unwrap().requirement, max_age);
        }
        assert_eq!(of(&[("audience", "x")]).unwrap().audiences, [Audience::new("x")]);
    }

    #[test]
    fn a_slip_of_the_pen_asks_nothing_and_so_is_refused() {
        assert_eq!(of(&[("scopes", "a")]), Err(InvalidDemand::Unknown("scopes".into())));
        assert_eq!(of(&[("Role", "a")]), Err(InvalidDemand::Unknown("Role".into())));
        for (name, value) in [
            ("scope", ""),
            ("scope", "a  b"),
            ("role", ""),
            ("fresh", "yes"),
            ("max_age", "soon"),
            ("audience", ""),
        ] {
            assert_eq!(of(&[(name, value)]), Err(InvalidDemand::Value(name, value.into())));
        }
    }
}
