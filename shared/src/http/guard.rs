//! Finds the token in a request, has it verified, and turns the request away or lets it in. Every extractor and layer goes
//! through here.

use std::sync::Arc;

use axum::http::{HeaderValue, Method, header::RETRY_AFTER, request::Parts};

use super::{
    ErrorAnswer, Location, Locations, Rejection, Render, Shown,
    check::{Check, Checks},
    csrf,
    find::{self, Found, Kind},
    flask_jwt_extended::FlaskJwtExtended,
    render::{Context, Contract, Renderer},
};
use crate::{
    clock::{Clock, Timestamp},
    issuer::{KeySource, Staleness, TrustedIssuer, TrustedIssuers},
    verify::{
        AnyAge, AuthError, Claims, Revocations, StalePolicy, TokenCache, TokenError, VerifiedToken, Verifier,
    },
};

/// What protects the routes of a router: put it into the router's state, and the extractors do the rest. Clones share
/// it.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    judges: TrustedIssuers,
    locations: Locations,
    realm: String,
    renderer: Renderer,
    checks: Checks,
    exempt: Vec<Method>,
}

/// A request that was let in, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    by: Guard,
    /// The stale policy of the route, as far as it was known then.
    under: Option<StalePolicy>,
    pub(super) token: VerifiedToken,
    pub(super) shown: Shown,
}

/// Why a request is refused, and the claims of its token when they are proven: a renderer may want them.
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
    /// Believes what `verifier` believes by the keys of `keys`. Tokens are taken from the `Authorization` header alone.
    /// `realm` names the protected space in challenges.
    #[must_use]
    pub fn new(
        verifier: Verifier,
        keys: Arc<dyn KeySource>,
        clock: Arc<dyn Clock>,
        realm: impl Into<String>,
    ) -> Self {
        Self::of(TrustedIssuer::new(verifier, keys, clock), realm)
    }

    /// Believes what `judge` believes.
    #[must_use]
    pub fn of(judge: TrustedIssuer, realm: impl Into<String>) -> Self {
        // A quote or a backslash would end the quoted string that the realm stands in.
        let realm = realm.into().replace(['"', '\\'], "");
        Self(Arc::new(Inner {
            judges: judge.into(),
            locations: Locations::default(),
            realm,
            renderer: Renderer(Arc::new(Contract)),
            checks: Checks::default(),
            exempt: Vec::new(),
        }))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Believes what `judge` believes, too: another issuer, with its own keys, audiences and leeway. A token goes to the
    /// judge of the issuer that it names, and to no other, so one issuer's key never vouches for another's token.
    #[must_use]
    pub fn trust_also(self, judge: TrustedIssuer) -> Self {
        self.with(|inner| inner.judges.add(judge))
    }

    /// Takes tokens from `locations`, in that order, instead.
    #[must_use]
    pub fn with_locations(self, locations: impl Into<Locations>) -> Self {
        self.with(|inner| inner.locations = locations.into())
    }

    /// Believes nothing that is revoked by `revocations`, which others keep current.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        self.with(|inner| inner.judges.change_first(|judge| judge.with_revocations(revocations)))
    }

    /// Remembers tokens in `cache`, which others may share, instead of in one of its own.
    #[must_use]
    pub fn with_cache(self, cache: Arc<TokenCache>) -> Self {
        self.with(|inner| inner.judges.change_first(|judge| judge.with_cache(cache)))
    }

    /// Lets no live token in that `check` does not let in. Checks run in the order in which they were added, after all
    /// else.
    #[must_use]
    pub fn with_check(self, check: impl Check) -> Self {
        self.with(|inner| inner.checks.push(check))
    }

    /// Answers refusals by `renderer`, instead of by our contract.
    #[must_use]
    pub fn with_renderer(self, renderer: impl Render) -> Self {
        self.with(|inner| inner.renderer = Renderer(Arc::new(renderer)))
    }

    /// Lets requests with those methods through layers unseen. Extractors still ask for a token: a handler that takes one
    /// has no use for a request without.
    #[must_use]
    pub fn exempt_methods(self, methods: impl Into<Vec<Method>>) -> Self {
        self.with(|inner| inner.exempt = methods.into())
    }

    /// Does as Flask-JWT-Extended does: its statuses and bodies, its names at the same locations, the first that holds a
    /// token decides, and layers let `OPTIONS` through.
    #[must_use]
    pub fn flask_jwt_extended(self) -> Self {
        let locations = Locations::flask_jwt_extended(self.0.locations.order());
        self.with_locations(locations)
            .with_renderer(FlaskJwtExtended::default())
            .exempt_methods([Method::OPTIONS])
    }

    /// Does what `staleness` says when the issuer has not been heard of for too long. A route does otherwise with a
    /// [`StalePolicy`] among the extensions of its requests: `.layer(Extension(StalePolicy::Deny))`.
    #[must_use]
    pub fn with_staleness(self, staleness: Staleness) -> Self {
        self.with(|inner| inner.judges.change_first(|judge| judge.with_staleness(staleness)))
    }

    /// The same under another stale policy; no change when it follows no issuer.
    #[must_use]
    pub fn with_stale_policy(self, policy: StalePolicy) -> Self {
        self.with(|inner| inner.judges.change_all(|judge| judge.with_stale_policy(policy)))
    }

    /// The clock that tokens are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.judges.first().now()
    }

    /// Where tokens are looked for.
    #[must_use]
    pub fn locations(&self) -> &Locations {
        &self.0.locations
    }

    /// The token of a request; `None` when it has none.
    ///
    /// # Errors
    /// [`AuthError`] when it has one that is not believed or not let in, or several.
    pub async fn verify(&self, parts: &Parts) -> Result<Option<VerifiedToken>, AuthError> {
        match self.admit(parts, |_, _| Ok(())).await {
            Ok(admitted) => Ok(admitted.map(|admitted| admitted.token)),
            Err(failure) => Err(failure.error),
        }
    }

    /// The same, for the few routes that have a use for a token that has expired.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for expired tokens.
    pub async fn verify_any_age(&self, parts: &Parts) -> Result<Option<AnyAge>, AuthError> {
        match self.judged(parts).await.map_err(|failure| failure.error)? {
            None => Ok(None),
            Some((AnyAge::Live(token), _)) => {
                self.0.checks.run(&token, parts).await?;
                Ok(Some(AnyAge::Live(token)))
            }
            Some((expired, _)) => Ok(Some(expired)),
        }
    }

    /// TrustedIssuers a token that the caller found by itself.
    ///
    /// # Errors
    /// [`AuthError`] when it is not believed; an expired one is.
    pub async fn judge_any_age(&self, token: &str) -> Result<AnyAge, AuthError> {
        self.0.judges.of(token)?.verify_any_age(token).await
    }

    /// Logs why a caller is failure away, once, and tells it what it may know by our contract.
    #[must_use]
    pub fn refuse(&self, error: &AuthError) -> ErrorAnswer {
        tracing::info!(reason = %error, "request refused");
        ErrorAnswer::of(error, &self.0.realm)
    }

    /// Logs why a request is failure away, once, and answers it in the guard's own way.
    #[must_use]
    pub fn reject(&self, parts: &Parts, error: AuthError) -> Rejection {
        self.reject_failure(parts, error.into())
    }

    pub(super) fn reject_failure(&self, parts: &Parts, failure: AuthFailure) -> Rejection {
        let AuthFailure { error, claims } = failure;
        tracing::info!(reason = %error, "request refused");
        let (locations, realm) = (&self.0.locations, self.0.realm.as_str());
        let context = Context { parts, locations, realm, claims: claims.as_deref() };
        let mut response = self.0.renderer.0.render(&error, &context);
        if let Some(after) = error.retry_after() {
            let headers = response.headers_mut();
            headers.entry(RETRY_AFTER).or_insert_with(|| HeaderValue::from(after.as_secs()));
        }
        Rejection::new(error, response)
    }

    pub(super) fn exempts(&self, method: &Method) -> bool {
        self.0.exempt.contains(method)
    }

    /// Lets in a live token that meets `condition`; `None` when there is none at all.
    pub(super) async fn admit(
        &self,
        parts: &Parts,
        condition: impl FnOnce(&Claims, Timestamp) -> Result<(), AuthError>,
    ) -> Result<Option<Admitted>, AuthFailure> {
        let failed = |error, token: &VerifiedToken| AuthFailure::with(error, token.clone().into_claims());
        // A layer of the same guard may have let it in before.
        if let Some(admitted) = parts
            .extensions
            .get::<Admitted>()
            .filter(|admitted| admitted.by.is(self) && admitted.under == stale_policy(parts))
        {
            condition(admitted.token.claims(), self.now()).map_err(|error| failed(error, &admitted.token))?;
            return Ok(Some(admitted.clone()));
        }
        let Some((judged, shown)) = self.judged(parts).await? else { return Ok(None) };
        let token = match judged {
            AnyAge::Live(token) => token,
            AnyAge::Expired(claims) => return Err(AuthFailure::with(TokenError::Expired.into(), claims)),
        };
        condition(token.claims(), self.now()).map_err(|error| failed(error, &token))?;
        if let Err(denied) = self.0.checks.run(&token, parts).await {
            return Err(failed(denied, &token));
        }
        Ok(Some(Admitted { by: self.clone(), under: stale_policy(parts), token, shown }))
    }

    /// The token of a request, believed but for its age.
    pub(super) async fn judged(&self, parts: &Parts) -> Result<Option<(AnyAge, Shown)>, AuthFailure> {
        let Some(Found { token, location }) = find::find(parts, &self.0.locations, Kind::Access)? else {
            return Ok(None);
        };
        let judge = self.0.judges.of(&token).map_err(AuthError::from)?;
        let judged = match stale_policy(parts) {
            None => judge.verify_any_age(&token).await,
            Some(policy) => judge.clone().with_stale_policy(policy).verify_any_age(&token).await,
        };
        let judged = judged?;
        if location == Location::Cookie
            && let Err(error) = csrf::check(parts, &self.0.locations, judged.claims())
        {
            let claims = match judged {
                AnyAge::Live(token) => token.into_claims(),
                AnyAge::Expired(claims) => claims,
            };
            return Err(AuthFailure::with(error, claims));
        }
        Ok(Some((judged, Shown::new(token, location))))
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The stale policy of the route itself.
fn stale_policy(parts: &Parts) -> Option<StalePolicy> {
    parts.extensions.get().copied()
}
