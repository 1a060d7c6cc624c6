//! [`Guard`]: a layer that passes calls with a verified token. Where no layer fits it is an interceptor. A layer is better: it
//! can wait for a new key of the issuer.

use std::{
    borrow::Cow,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::{Status, service::Interceptor};
use tower::{Layer, Service};

use super::status::status;
use crate::{
    issuer::{TrustedIssuer, TrustedIssuers},
    verify::{AnyAge, AuthError, Requirement, TokenError, VerifiedToken},
};

/// Protects a tonic service: `guard.named_layer(server)`, with tonic's `LayerExt`. Each call needs a live token in its metadata
/// (`authorization: Bearer …`). The handler gets it from [`token`] or [`with_scope`]. The token is verified when a call begins;
/// a stream may outlive it.
///
/// ```no_run
/// use countermark::{grpc::Guard, verify::Requirement};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "jwks")]
/// let guard = Guard::for_issuer("http://localhost:8080", "my-service")?
///     .requiring(Requirement::live().scope("reports:read"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    issuers: TrustedIssuers,
    requirement: Requirement,
}

/// A service behind a [`Guard`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl Guard {
    /// Accepts the tokens that `issuer` accepts.
    #[must_use]
    pub fn new(issuer: TrustedIssuer) -> Self {
        Self(Arc::new(Inner { issuers: issuer.into(), requirement: Requirement::live() }))
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

    /// Requires `requirement` of every call. A single method requires more with [`with_scope`] or [`check`](Self::check).
    #[must_use]
    pub fn requiring(self, requirement: Requirement) -> Self {
        self.with(|inner| inner.requirement = requirement)
    }

    /// Verifies the token of a call with that metadata.
    ///
    /// # Errors
    /// [`AuthError`] when the call has no token or several, or the token is not accepted or does not meet the requirement.
    pub async fn verify(&self, metadata: &HeaderMap) -> Result<VerifiedToken, AuthError> {
        let token = bearer(metadata)?.ok_or(AuthError::MissingToken)?;
        self.accept(self.0.issuers.verify_any_age(&token).await?)
    }

    /// Verifies the token of a call where nobody can wait. It refuses a token that needs newer keys or the issuer's own answer.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_at_hand(&self, metadata: &HeaderMap) -> Result<VerifiedToken, AuthError> {
        let token = bearer(metadata)?.ok_or(AuthError::MissingToken)?;
        self.accept(self.0.issuers.verify_at_hand(&token)?)
    }

    /// Logs the exact reason once, and gives the status for the caller.
    fn refuse(&self, metadata: &HeaderMap, error: &AuthError) -> Status {
        let token = || bearer(metadata).ok().flatten().map(Cow::Owned);
        self.0.issuers.log_refused("call", error, token);
        status(error)
    }

    fn accept(&self, token: AnyAge) -> Result<VerifiedToken, AuthError> {
        match token {
            AnyAge::Live(token) => {
                self.0.requirement.check(token.claims(), self.0.issuers.now())?;
                Ok(token)
            }
            AnyAge::Expired(_) => Err(TokenError::Expired.into()),
        }
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
        let met = requirement.check(token.claims(), self.0.issuers.now());
        met.map_err(Status::from)?;
        Ok(token)
    }
}

/// The interceptor uses [`verify_at_hand`](Guard::verify_at_hand): for servers whose keys are kept current elsewhere. The layer
/// is better where it fits, because it can wait for a key.
impl Interceptor for Guard {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let metadata = request.metadata().as_ref();
        let token = self.verify_at_hand(metadata).map_err(|error| self.refuse(metadata, &error))?;
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
        // This service was polled and is ready; its clone may not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match guard.verify(request.headers()).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await
                }
                Err(error) => Ok(guard.refuse(request.headers(), &error).into_http()),
            }
        })
    }
}
