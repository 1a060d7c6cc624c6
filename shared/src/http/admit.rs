//! Finds the token of a request, verifies it, and runs the checks of the guard. It writes no answer.

use std::{borrow::Cow, sync::Arc};

use axum::http::request::Parts;

use super::{
    Guard, Location, Lookup, Shown, csrf,
    find::{self, Found, Kind},
};
use crate::{
    clock::Timestamp,
    verify::{AnyAge, AuthError, Claims, StalePolicy, TokenError, VerifiedToken},
};

/// Largest number of further access cookies that are verified.
const MAX_OTHER_COOKIES: usize = 3;

/// A request whose token was accepted.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    by: Guard,
    /// The stale policy of the route at that time.
    under: Option<StalePolicy>,
    pub(super) token: VerifiedToken,
    pub(super) shown: Shown,
}

/// Whether a route also serves callers without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It does not.
    Required,
    /// It does. Then an expired cookie counts as absent: a browser sends it unasked until the session may end, and nobody chose to
    /// show it. Every other bad token is refused.
    Optional,
}

/// Why a request is refused, and the claims of its token when they are proven: a renderer may use them.
#[derive(Debug)]
pub(super) struct AuthFailure {
    pub(super) error: AuthError,
    pub(super) claims: Option<Arc<Claims>>,
}

impl AuthFailure {
    pub(super) fn with(error: AuthError, claims: Arc<Claims>) -> Self {
        Self { error, claims: Some(claims) }
    }
}

impl From<AuthError> for AuthFailure {
    fn from(error: AuthError) -> Self {
        Self { error, claims: None }
    }
}

impl Guard {
    /// Accepts a live token that meets `condition`; `None` when the request has no token.
    pub(super) async fn admit(
        &self,
        parts: &Parts,
        need: Need,
        condition: impl FnOnce(&Claims, Timestamp) -> Result<(), AuthError>,
    ) -> Result<Option<Admitted>, AuthFailure> {
        let failed = |error, token: &VerifiedToken| AuthFailure::with(error, token.clone().into_claims());
        // A layer of the same guard may have accepted it before.
        if let Some(admitted) = parts
            .extensions
            .get::<Admitted>()
            .filter(|admitted| admitted.by.is(self) && admitted.under == stale_policy(parts))
        {
            condition(admitted.token.claims(), self.now()).map_err(|error| failed(error, &admitted.token))?;
            return Ok(Some(admitted.clone()));
        }
        let Some((verified, shown)) = self.find_and_verify(parts, need).await? else { return Ok(None) };
        let token = match verified {
            AnyAge::Live(token) => token,
            AnyAge::Expired(claims) => return Err(AuthFailure::with(TokenError::Expired.into(), claims)),
        };
        condition(token.claims(), self.now()).map_err(|error| failed(error, &token))?;
        if let Err(error) = self.checks().run(&token, parts).await {
            return Err(failed(error, &token));
        }
        Ok(Some(Admitted { by: self.clone(), under: stale_policy(parts), token, shown }))
    }

    /// Verifies the token of a request, whatever its age; `None` when the request has no token.
    pub(super) async fn find_and_verify(
        &self,
        parts: &Parts,
        need: Need,
    ) -> Result<Option<(AnyAge, Shown)>, AuthFailure> {
        let Some(Found { token, location }) = find::find(parts, self.locations(), Kind::Access)? else {
            return Ok(None);
        };
        let verified = self.issuers().verify_under(&token, stale_policy(parts)).await;
        let (verified, token) = match verified {
            Err(error) if location == Location::Cookie && self.looks_further(&error) => {
                self.verify_another_cookie(parts, &token).await.ok_or(error)?
            }
            verified => (verified?, token),
        };
        if location == Location::Cookie && need == Need::Optional && self.drops(&verified) {
            return Ok(None);
        }
        if location == Location::Cookie
            && let Err(error) = csrf::check(parts, self.locations(), verified.claims())
        {
            let claims = match verified {
                AnyAge::Live(token) => token.into_claims(),
                AnyAge::Expired(claims) => claims,
            };
            return Err(AuthFailure::with(error, claims));
        }
        Ok(Some((verified, Shown::new(token, location))))
    }

    /// Whether another access cookie may be ours. Another host of the domain can add a cookie of that name, which then may come
    /// first. A revoked token is one of ours, and decides.
    fn looks_further(&self, error: &AuthError) -> bool {
        let is_strange = matches!(error, AuthError::Token(error) if *error != TokenError::Revoked);
        is_strange && self.locations().lookup == Lookup::ExactlyOne
    }

    /// The first access cookie, of a few, whose token is accepted.
    async fn verify_another_cookie<'p>(
        &'p self,
        parts: &'p Parts,
        strange: &str,
    ) -> Option<(AnyAge, Cow<'p, str>)> {
        let others = find::access_cookies(&parts.headers, self.locations());
        for other in others.filter(|other| *other != strange).take(MAX_OTHER_COOKIES) {
            if let Ok(verified) = self.issuers().verify_under(other, stale_policy(parts)).await {
                return Some((verified, Cow::Borrowed(other)));
            }
        }
        None
    }

    /// Whether the token of a cookie counts as absent. Where the first location decides it does so also with a bad token.
    fn drops(&self, verified: &AnyAge) -> bool {
        matches!(verified, AnyAge::Expired(_)) && self.locations().lookup == Lookup::ExactlyOne
    }
}

/// The stale policy of the route itself.
fn stale_policy(parts: &Parts) -> Option<StalePolicy> {
    parts.extensions.get().copied()
}
