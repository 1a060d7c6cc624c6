//! [`Guard`]: protects the routes of a router. Every extractor and layer goes through it.

use std::sync::Arc;

use axum::http::{HeaderValue, Method, header::RETRY_AFTER, request::Parts};

use super::{
    ErrorAnswer, Locations, Rejection, Render,
    admit::{AuthFailure, Need},
    check::{Check, Checks},
    find::{self, Kind},
    flask_jwt_extended::FlaskJwtExtended,
    render::{Context, Contract, Renderer},
};
use crate::{
    clock::Timestamp,
    issuer::{TrustedIssuer, TrustedIssuers},
    verify::{AnyAge, AuthError, VerifiedToken},
};

/// Protects the routes of a router: put it into the router's state, and the extractors find it there. Clones share it.
///
/// A route that needs another stale policy carries it in the extensions of its requests:
/// `.layer(Extension(StalePolicy::Deny))`.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    issuers: TrustedIssuers,
    locations: Locations,
    realm: String,
    renderer: Renderer,
    checks: Checks,
    exempt: Vec<Method>,
}

impl Guard {
    /// Accepts the tokens that `issuer` accepts, from the `Authorization` header alone. `realm` names the protected space in
    /// challenges (RFC 6750 §3).
    #[must_use]
    pub fn new(issuer: TrustedIssuer, realm: impl Into<String>) -> Self {
        // A quote or a backslash would end the quoted string of the challenge.
        let realm = realm.into().replace(['"', '\\'], "");
        Self(Arc::new(Inner {
            issuers: issuer.into(),
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

    /// Trusts another issuer too. A token is verified by the issuer that it names and by no other, so the key of one issuer
    /// never vouches for a token of another.
    #[must_use]
    pub fn trust_also(self, issuer: TrustedIssuer) -> Self {
        self.with(|inner| inner.issuers.add(issuer))
    }

    /// Takes tokens from `locations`, in that order.
    #[must_use]
    pub fn with_locations(self, locations: impl Into<Locations>) -> Self {
        self.with(|inner| inner.locations = locations.into())
    }

    /// Adds a check of the service's own. Checks run for live tokens, in the order in which they were added, after everything
    /// else.
    #[must_use]
    pub fn with_check(self, check: impl Check) -> Self {
        self.with(|inner| inner.checks.push(check))
    }

    /// Answers refused requests with `renderer`, instead of with [`ErrorAnswer`].
    #[must_use]
    pub fn with_renderer(self, renderer: impl Render) -> Self {
        self.with(|inner| inner.renderer = Renderer(Arc::new(renderer)))
    }

    /// Lets requests with these methods pass layers without a token. Extractors still need a token.
    #[must_use]
    pub fn exempt_methods(self, methods: impl Into<Vec<Method>>) -> Self {
        self.with(|inner| inner.exempt = methods.into())
    }

    /// Acts as Flask-JWT-Extended does: the same statuses, bodies and names; the first location that holds a token decides;
    /// layers let `OPTIONS` pass.
    #[must_use]
    pub fn flask_jwt_extended(self) -> Self {
        let locations = Locations::flask_jwt_extended(self.0.locations.order());
        self.with_locations(locations)
            .with_renderer(FlaskJwtExtended::default())
            .exempt_methods([Method::OPTIONS])
    }

    /// The time by which tokens are verified.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.issuers.now()
    }

    /// The locations where tokens are looked for.
    #[must_use]
    pub fn locations(&self) -> &Locations {
        &self.0.locations
    }

    /// Finds and verifies the token of a request; `None` when the request has none.
    ///
    /// # Errors
    /// [`AuthError`] when the token is not accepted, or the request has several.
    pub async fn verify(&self, parts: &Parts) -> Result<Option<VerifiedToken>, AuthError> {
        self.verify_as(parts, Need::Required).await
    }

    /// The same for a route that also serves callers without a token. There an expired token of a cookie counts as absent,
    /// because browsers send it unasked. Every other bad token is refused.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn verify_optional(&self, parts: &Parts) -> Result<Option<VerifiedToken>, AuthError> {
        self.verify_as(parts, Need::Optional).await
    }

    async fn verify_as(&self, parts: &Parts, need: Need) -> Result<Option<VerifiedToken>, AuthError> {
        match self.admit(parts, need, |_, _| Ok(())).await {
            Ok(admitted) => Ok(admitted.map(|admitted| admitted.token)),
            Err(failure) => Err(failure.error),
        }
    }

    /// Finds and verifies the token of a request, and accepts an expired one too, for the few routes that can use one.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), except for expired tokens.
    pub async fn verify_any_age(&self, parts: &Parts) -> Result<Option<AnyAge>, AuthError> {
        match self.find_and_verify(parts, Need::Required).await.map_err(|failure| failure.error)? {
            None => Ok(None),
            Some((AnyAge::Live(token), _)) => {
                self.0.checks.run(&token, parts).await?;
                Ok(Some(AnyAge::Live(token)))
            }
            Some((expired, _)) => Ok(Some(expired)),
        }
    }

    /// Verifies a token that the caller found by itself, and accepts an expired one too.
    ///
    /// # Errors
    /// [`AuthError`] when the token is not accepted.
    pub async fn verify_token_any_age(&self, token: &str) -> Result<AnyAge, AuthError> {
        self.0.issuers.verify_any_age(token).await
    }

    /// Logs the exact reason once, and gives the answer for the caller as [`ErrorAnswer`]. [`reject`](Self::reject) logs more
    /// about a token of another issuer or audience.
    #[must_use]
    pub fn refuse(&self, error: &AuthError) -> ErrorAnswer {
        self.0.issuers.log_refused("request", error, || None);
        ErrorAnswer::of(error, &self.0.realm)
    }

    /// Logs the exact reason once, and answers the request with the guard's renderer.
    #[must_use]
    pub fn reject(&self, parts: &Parts, error: AuthError) -> Rejection {
        self.reject_failure(parts, error.into())
    }

    pub(super) fn reject_failure(&self, parts: &Parts, failure: AuthFailure) -> Rejection {
        let AuthFailure { error, claims } = failure;
        self.0.issuers.log_refused("request", &error, || {
            let found = find::find(parts, &self.0.locations, Kind::Access);
            found.ok().flatten().map(|found| found.token)
        });
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

    pub(super) fn issuers(&self) -> &TrustedIssuers {
        &self.0.issuers
    }

    pub(super) fn checks(&self) -> &Checks {
        &self.0.checks
    }

    /// Whether both are the same guard. A guard that was built alike is another one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
