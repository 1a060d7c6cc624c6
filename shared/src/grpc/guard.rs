//! A layer that lets a call through with a verified token. It is a layer and no interceptor, since an interceptor can't
//! wait, and a token that is signed with a new key has to wait for that key.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::Status;
use tower::{Layer, Service};

use super::Refusal;
use crate::{
    clock::Clock,
    jwks::{Judge, KeySource, Staleness},
    revocation::{Revocations, StalePolicy},
    token::{TokenCache, VerifiedToken, Verifier},
};

/// What protects a tonic service: `guard.named_layer(server)`, with tonic's `LayerExt`. Each call needs a live token in
/// its metadata (`authorization: Bearer …`), which the handler gets from [`token`] or [`with_scope`]. The token is looked
/// at when a call begins; a stream may outlive it.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    judge: Judge,
    scopes: Vec<String>,
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
        Self::of(Judge::new(verifier, keys, clock))
    }

    /// Believes what `judge` believes, and asks no scope.
    #[must_use]
    pub fn of(judge: Judge) -> Self {
        Self(Arc::new(Inner { judge, scopes: Vec::new() }))
    }

    /// Believes nothing that is revoked by `revocations`, which others keep current.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        self.with_judge(|judge| judge.with_revocations(revocations))
    }

    /// Remembers tokens in `cache`, which others may share, instead of in one of its own.
    #[must_use]
    pub fn with_cache(self, cache: Arc<TokenCache>) -> Self {
        self.with_judge(|judge| judge.with_cache(cache))
    }

    /// Does what `staleness` says when the issuer has not been heard of for too long.
    #[must_use]
    pub fn with_staleness(self, staleness: Staleness) -> Self {
        self.with_judge(|judge| judge.with_staleness(staleness))
    }

    /// The same under another stale policy; no change when it follows no issuer.
    #[must_use]
    pub fn with_stale_policy(self, policy: StalePolicy) -> Self {
        self.with_judge(|judge| judge.with_stale_policy(policy))
    }

    fn with_judge(self, change: impl FnOnce(Judge) -> Judge) -> Self {
        let Inner { judge, scopes } = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner { judge: change(judge), scopes }))
    }

    /// Asks that scope of every call, too. For one that a single method needs there is [`with_scope`].
    #[must_use]
    pub fn requiring(self, scope: impl Into<String>) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.scopes.push(scope.into());
        Self(Arc::new(inner))
    }

    /// The token of a call with that metadata.
    ///
    /// # Errors
    /// [`Refusal`] when it has none, several, one that is not believed, or one without the scopes.
    pub async fn verify(&self, metadata: &HeaderMap) -> Result<VerifiedToken, Refusal> {
        let Inner { judge, scopes } = &*self.0;
        let token = judge.verify(&bearer(metadata)?.ok_or(Refusal::MissingToken)?).await?;
        match scopes.iter().find(|scope| !token.claims().scope.contains(scope)) {
            Some(missing) => Err(Refusal::Scope(missing.clone())),
            None => Ok(token),
        }
    }
}

/// The verified token of a call that came through a [`Guard`].
///
/// # Errors
/// `UNAUTHENTICATED` when it did not.
pub fn token<M>(request: &tonic::Request<M>) -> Result<&VerifiedToken, Status> {
    Ok(request.extensions().get().ok_or(Refusal::MissingToken)?)
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
        Err(Refusal::Scope(scope.to_owned()).into())
    }
}

/// The token of `authorization: Bearer …`; `None` when there is none, or one of another scheme. The scheme is compared
/// without regard to case (RFC 9110 §11.1).
fn bearer(metadata: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = metadata.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::SeveralTokens);
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
                Err(refusal) => Ok(Status::from(refusal).into_http()),
            }
        })
    }
}
