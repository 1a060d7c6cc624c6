//! [`Requirement`]: what a route requires of a live token. It can require scopes, roles and a recent login. Extractors, layers,
//! forward-auth and gRPC check it.

use std::{borrow::Cow, time::Duration};

use super::{AuthError, Claims};
use crate::clock::Timestamp;

/// Requirements on a live token. The default adds none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    scopes: Vec<Cow<'static, str>>,
    roles: Vec<Cow<'static, str>>,
    is_fresh: bool,
    max_age: Option<Duration>,
}

impl Requirement {
    /// Requires nothing beyond a live token.
    #[must_use]
    pub const fn live() -> Self {
        Self { scopes: Vec::new(), roles: Vec::new(), is_fresh: false, max_age: None }
    }

    /// Requires that scope too.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<Cow<'static, str>>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Requires that role too.
    #[must_use]
    pub fn role(mut self, role: impl Into<Cow<'static, str>>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Requires a token that was minted straight from credentials, not from a refresh.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.is_fresh = true;
        self
    }

    /// Requires that the user gave credentials at most `max_age` ago, even if the token was refreshed since (RFC 9470 §5). A
    /// token without `auth_time` is refused, such as a service's.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(self.max_age.map_or(max_age, |held| held.min(max_age)));
        self
    }

    /// Checks that `claims` meet all requirements at the instant `now`.
    ///
    /// # Errors
    /// [`AuthError`] names the first thing that is missing: freshness, then scopes, then roles.
    pub fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), AuthError> {
        if self.is_fresh && claims.fresh != Some(true) {
            return Err(AuthError::NotFresh { max_age: self.max_age.unwrap_or(Duration::ZERO) });
        }
        if let Some(max_age) = self.max_age {
            let given_at = claims.auth_time.map(|date| Timestamp::from_unix_seconds(date.unix_seconds()));
            if given_at.is_none_or(|given_at| now.since(given_at) > max_age) {
                return Err(AuthError::NotFresh { max_age });
            }
        }
        if let Some(missing) = self.scopes.iter().find(|scope| !claims.scope.contains(scope)) {
            return Err(AuthError::Scope(missing.clone()));
        }
        match self.roles.iter().find(|role| !claims.has_role(role)) {
            Some(missing) => Err(AuthError::Role(missing.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Audience, Audiences, Issuer, claims::NumericDate};

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Claims {
        let audiences = Audiences::new(vec![Audience::new("documents")]).unwrap();
        let exp = NumericDate::from_unix_seconds(NOW + 900);
        Claims {
            scope: "documents:read".parse().unwrap(),
            roles: vec!["editor".into()],
            ..Claims::new(Issuer::new("http://issuer"), "alice".parse().unwrap(), audiences, exp)
        }
    }

    fn check(requirement: &Requirement, claims: &Claims) -> Result<(), AuthError> {
        requirement.check(claims, Timestamp::from_unix_seconds(NOW))
    }

    #[test]
    fn scopes_and_roles_must_all_be_there() {
        let (claims, live) = (claims(), Requirement::live);
        assert_eq!(check(&live(), &claims), Ok(()));
        assert_eq!(check(&live().scope("documents:read").role("editor"), &claims), Ok(()));
        let write = live().scope("documents:read").scope("documents:write");
        assert_eq!(check(&write, &claims), Err(AuthError::Scope("documents:write".into())));
        assert_eq!(check(&live().role("Editor"), &claims), Err(AuthError::Role("Editor".into())));
    }

    #[test]
    fn a_login_may_lie_back_as_long_as_the_maximum_age_and_no_longer() {
        let at = |seconds| Claims { auth_time: Some(NumericDate::from_unix_seconds(seconds)), ..claims() };
        let minute = || Requirement::live().max_age(Duration::from_mins(1));
        let unmet = Err(AuthError::NotFresh { max_age: Duration::from_mins(1) });
        assert_eq!(check(&minute(), &at(NOW - 60)), Ok(()));
        assert_eq!(check(&minute(), &at(NOW + 5)), Ok(()));
        assert_eq!(check(&minute(), &at(NOW - 61)), unmet);
        assert_eq!(check(&minute(), &claims()), unmet);
        assert_eq!(
            check(&minute().max_age(Duration::from_hours(1)), &at(NOW - 61)),
            unmet,
            "the least counts"
        );
    }

    #[test]
    fn only_a_token_straight_from_a_login_is_fresh() {
        let fresh = |fresh| Claims { fresh, ..claims() };
        let unmet = Err(AuthError::NotFresh { max_age: Duration::ZERO });
        assert_eq!(check(&Requirement::live().fresh(), &fresh(Some(true))), Ok(()));
        assert_eq!(check(&Requirement::live().fresh(), &fresh(Some(false))), unmet);
        assert_eq!(check(&Requirement::live().fresh(), &fresh(None)), unmet);
    }
}
