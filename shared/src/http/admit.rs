//! Finds the token of a request, verifies it, and runs the checks of the guard. It writes no answer.

use std::sync::Arc;

use axum::http::request::Parts;

use super::{
    Guard, Location, Shown, csrf,
    find::{self, Found, Kind},
};
use crate::{
    clock::Timestamp,
    verify::{AnyAge, AuthError, Claims, StalePolicy, TokenError, VerifiedToken},
};

/// A request whose token was accepted.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    by: Guard,
    /// The stale policy of the route at that time.
    under: Option<StalePolicy>,
    pub(super) token: VerifiedToken,
    pub(super) shown: Shown,
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
        let Some((verified, shown)) = self.find_and_verify(parts).await? else { return Ok(None) };
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
    ) -> Result<Option<(AnyAge, Shown)>, AuthFailure> {
        let Some(Found { token, location }) = find::find(parts, self.locations(), Kind::Access)? else {
            return Ok(None);
        };
        let verified = self.issuers().verify_under(&token, stale_policy(parts)).await?;
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
}

/// The stale policy of the route itself.
fn stale_policy(parts: &Parts) -> Option<StalePolicy> {
    parts.extensions.get().copied()
}
