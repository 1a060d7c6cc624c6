//! A layer that lets a call through with a verified token, and an interceptor for where none fits: a layer can wait for the
//! key of a token that is signed with a new one.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::{Status, service::Interceptor};
use tower::{Layer, Service};

use crate::{
    clock::Clock,
    issuer::{KeySource, Staleness, TrustedIssuer, TrustedIssuers},
    verify::{
        AnyAge, AuthError, Requirement, Revocations, StalePolicy, TokenCache, TokenError, VerifiedToken,
        Verifier,
    },
};

/// What protects a tonic service: `guard.named_layer(server)`, with tonic's `LayerExt`. Each call needs a live token in
/// its metadata (`authorization: Bearer …`), which the handler gets from [`token`] or [`with_scope`]. The token is looked
/// at when a call begins; a stream may outlive it.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    judges: TrustedIssuers,
    requirement: Requirement,
}

/// A service behind a [`Guard`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl Guard {
    /// Believes what `verifier` believes by the keys of `keys`, and asks no scope.
    #[must_use]
    pub fn new(verifier: Verifier, keys: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self::of(TrustedIssuer::new(verifier, keys, clock))
    }

    /// Believes what `judge` believes, and asks no scope.
    #[must_use]
    pub fn of(judge: TrustedIssuer) -> Self {
        Self(Arc::new(Inner { judges: judge.into(), requirement: Requirement::live() }))
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

    /// Does what `staleness` says when the issuer has not been heard of for too long.
    #[must_use]
    pub fn with_staleness(self, staleness: Staleness) -> Self {
        self.with(|inner| inner.judges.change_first(|judge| judge.with_staleness(staleness)))
    }

    /// The same under another stale policy; no change when it follows no issuer.
    #[must_use]
    pub fn with_stale_policy(self, policy: StalePolicy) -> Self {
        self.with(|inner| inner.judges.change_all(|judge| judge.with_stale_policy(policy)))
    }

    /// Believes what `judge` believes, too: another issuer, with its own keys, audiences and leeway. A token goes to the
    /// judge of the issuer that it names, and to no other.
    #[must_use]
    pub fn trust_also(self, judge: TrustedIssuer) -> Self {
        self.with(|inner| inner.judges.add(judge))
    }

    fn with(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// Asks that scope of every call, too. For one that a single method needs there is [`with_scope`].
    #[must_use]
    pub fn requiring(self, scope: impl Into<String>) -> Self {
        let scope = scope.into();
        self.with(|inner| inner.requirement = mem::take(&mut inner.requirement).scope(scope))
    }

    /// Asks `requirement` of every call, instead of what was asked before.
    #[must_use]
    pub fn with_requirement(self, requirement: Requirement) -> Self {
        self.with(|inner| inner.requirement = requirement)
    }

    /// The token of a call with that metadata.
    ///
    /// # Errors
    /// [`AuthError`] when it has none, several, one that is not believed, or one that does not meet the requirement.
    pub async fn verify(&self, metadata: &HeaderMap) -> Result<VerifiedToken, AuthError> {
        let token = bearer(metadata)?.ok_or(AuthError::MissingToken)?;
        let judge = self.0.judges.of(&token).map_err(AuthError::Token)?;
        self.accept(judge.verify(&token).await?)
    }

    /// The same where nobody can wait: what only keys that are not at hand could tell is refused.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_at_hand(&self, metadata: &HeaderMap) -> Result<VerifiedToken, AuthError> {
        let token = bearer(metadata)?.ok_or(AuthError::MissingToken)?;
        let judge = self.0.judges.of(&token).map_err(AuthError::Token)?;
        match judge.verify_at_hand(&token)? {
            AnyAge::Live(token) => self.accept(token),
            AnyAge::Expired(_) => Err(AuthError::Token(TokenError::Expired)),
        }
    }

    fn accept(&self, token: VerifiedToken) -> Result<VerifiedToken, AuthError> {
        self.0.requirement.check(token.claims(), self.0.judges.first().now())?;
        Ok(token)
    }

    /// The token of a call that came through this guard, for a method that asks `requirement`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when it came through none, or credentials were given too long ago; `PERMISSION_DENIED` when the
    /// token lacks a scope or a role.
    pub fn check<'r, M>(
        &self,
        request: &'r tonic::Request<M>,
        requirement: &Requirement,
    ) -> Result<&'r VerifiedToken, Status> {
        let token = token(request)?;
        let met = requirement.check(token.claims(), self.0.judges.first().now());
        met.map_err(Status::from)?;
        Ok(token)
    }
}

/// As an interceptor, by [`verify_at_hand`](Guard::verify_at_hand): for servers whose keys are kept current elsewhere. The
/// layer is the better choice where it fits, for it can wait for a key.
impl Interceptor for Guard {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let token = self.verify_at_hand(request.metadata().as_ref())?;
        request.extensions_mut().insert(token);
        Ok(request)
    }
}

/// The verified token of a call that came through a [`Guard`].
///
/// # Errors
/// `UNAUTHENTICATED` when it did not.
pub fn token<M>(request: &tonic::Request<M>) -> Result<&VerifiedToken, Status> {
    Ok(request.extensions().get().ok_or(AuthError::MissingToken)?)
}

/// The same, for a method that needs a scope.
///
/// # Errors
/// `PERMISSION_DENIED` when the token lacks it.
pub fn with_scope<'r, M>(request: &'r tonic::Request<M>, scope: &str) -> Result<&'r VerifiedToken, Status> {
    let token = token(request)?;
    if token.claims().scope.contains(scope) {
        Ok(token)
    } else {
        Err(AuthError::Scope(scope.to_owned().into()).into())
    }
}

/// The token of `authorization: Bearer …`; `None` when there is none, or one of another scheme. The scheme is compared
/// without regard to case (RFC 9110 §11.1).
fn bearer(metadata: &HeaderMap) -> Result<Option<String>, AuthError> {
    let mut values = metadata.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(AuthError::SeveralTokens);
    }
    let value = String::from_utf8_lossy(value.as_bytes());
    let (scheme, token) = value.split_once(' ').unwrap_or((&value, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' ').to_owned()))
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

impl<S, B, A> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    A: Default,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let guard = self.guard.clone();
        // The one that was asked whether it is ready; its clone may not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match guard.verify(request.headers()).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await
                }
                Err(error) => Ok(Status::from(error).into_http()),
            }
        })
    }
}
