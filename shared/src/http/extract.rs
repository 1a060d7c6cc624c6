//! Extractors: a protected route is one argument. An extractor refuses the request before the handler runs, or gives the
//! handler the verified token. The router's state must give a [`Guard`] (`FromRef`).

use std::{marker::PhantomData, ops::Deref, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::{
    Guard, Rejection, Shown,
    admit::{Admitted, AuthFailure, Need},
    custom,
    find::{self, Found, Kind},
    required::{RequiredRole, RequiredScopes},
};
use crate::{
    clock::Timestamp,
    verify::{AnyAge, AuthError, Claims, REFRESH_TOKEN_PREFIX, TokenError, VerifiedToken},
};

/// A live access token, with the service's own claims as a `C`. As `Option<AccessToken>` the token may be absent, and an expired
/// one of a cookie counts as absent; every other bad token is still refused.
#[derive(Clone, Debug)]
pub struct AccessToken<C = ()>(pub VerifiedToken, Details<C>);

#[derive(Clone, Debug)]
struct Details<C> {
    shown: Shown,
    custom: C,
}

/// A live access token that was minted straight from credentials (RFC 9470).
#[derive(Clone, Debug)]
pub struct FreshToken(pub VerifiedToken);

/// A live access token that was minted straight from credentials, given at most that many seconds ago.
#[derive(Clone, Debug)]
pub struct FreshWithin<const SECONDS: u64>(pub VerifiedToken);

/// A live access token whose user gave credentials at most that many seconds ago, whether it was refreshed since or not
/// (RFC 9470 §5).
#[derive(Clone, Debug)]
pub struct MaxAge<const SECONDS: u64>(pub VerifiedToken);

/// An access token that may have expired.
#[derive(Clone, Debug)]
pub struct AnyAgeToken(pub AnyAge);

/// A live access token, or the reason why there is none. A bad token does not refuse the request.
#[derive(Clone, Debug)]
pub struct TriedToken(pub Result<VerifiedToken, AuthError>);

/// A token of either kind, for a route that passes refresh tokens on to the issuer, such as a logout. It is exhaustive: there
/// are these two kinds.
#[derive(Clone, Debug)]
pub enum AnyKindToken {
    /// A live access token.
    Access(VerifiedToken),
    /// A refresh token, unverified.
    Refresh(UnverifiedRefreshToken),
}

/// A refresh token, to pass on to its issuer. Only the issuer can verify it, so it proves nothing. It is taken from the header,
/// a JSON body or a form. Its text appears in no output.
#[derive(Clone, Debug)]
pub struct UnverifiedRefreshToken(pub Shown);

/// A live access token that has the scope `S`, or all of a tuple of scopes.
#[derive(Clone, Debug)]
pub struct Scoped<S>(pub VerifiedToken, PhantomData<S>);

/// A live access token whose subject has the role `R`.
#[derive(Clone, Debug)]
pub struct WithRole<R>(pub VerifiedToken, PhantomData<R>);

impl<C> AccessToken<C> {
    /// The claims of the token.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.0.claims()
    }

    /// The service's own claims.
    #[must_use]
    pub fn custom(&self) -> &C {
        &self.1.custom
    }

    /// How the token was sent: its location and its header.
    #[must_use]
    pub fn shown(&self) -> &Shown {
        &self.1.shown
    }
}

impl<C: DeserializeOwned> AccessToken<C> {
    fn read(admitted: Admitted) -> Result<Self, AuthFailure> {
        let Admitted { token, shown, .. } = admitted;
        match custom::read(token.claims()) {
            Ok(custom) => Ok(Self(token, Details { shown, custom })),
            Err(error) => {
                // Only the log shows the message, because it may quote a claim.
                tracing::debug!(%error, "custom claims that do not fit");
                let error = AuthError::Denied("The token lacks claims that this route needs".into());
                Err(AuthFailure::with(error, token.into_claims()))
            }
        }
    }
}

impl<C, S> FromRequestParts<S> for AccessToken<C>
where
    C: DeserializeOwned,
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let guard = Guard::from_ref(state);
        let read = accepted(parts, &guard, |_, _| Ok(())).await.and_then(Self::read);
        read.map_err(|failure| guard.reject_failure(parts, failure))
    }
}

impl<C, S> OptionalFromRequestParts<S> for AccessToken<C>
where
    C: DeserializeOwned,
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        let guard = Guard::from_ref(state);
        let admitted = guard.admit(parts, Need::Optional, |_, _| Ok(())).await;
        let read = admitted.and_then(|admitted| admitted.map(Self::read).transpose());
        read.map_err(|failure| guard.reject_failure(parts, failure))
    }
}

impl<S> FromRequestParts<S> for AnyAgeToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let guard = Guard::from_ref(state);
        let verified = guard.verify_any_age(parts).await;
        let verified = verified.and_then(|token| token.ok_or(AuthError::MissingToken));
        verified.map(Self).map_err(|error| guard.reject(parts, error))
    }
}

impl<S> FromRequestParts<S> for TriedToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    /// Rejects a request only when nothing can be decided now, with 503.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let guard = Guard::from_ref(state);
        match accepted(parts, &guard, |_, _| Ok(())).await {
            Ok(admitted) => Ok(Self(Ok(admitted.token))),
            Err(failure) if matches!(failure.error, AuthError::NoKeys | AuthError::Stale) => {
                Err(guard.reject_failure(parts, failure))
            }
            Err(failure) => Ok(Self(Err(failure.error))),
        }
    }
}

impl<S> FromRequestParts<S> for UnverifiedRefreshToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let guard = Guard::from_ref(state);
        let shown = match find::find(parts, guard.locations(), Kind::Refresh) {
            Ok(Some(found)) => refresh_token(found),
            Ok(None) => Err(AuthError::MissingToken),
            Err(error) => Err(error),
        };
        shown.map_err(|error| guard.reject(parts, error))
    }
}

impl<S> FromRequestParts<S> for AnyKindToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let guard = Guard::from_ref(state);
        if let Ok(Some(found)) = find::find(parts, guard.locations(), Kind::Refresh)
            && let Ok(token) = refresh_token(found)
        {
            return Ok(Self::Refresh(token));
        }
        live(parts, state, |_, _| Ok(())).await.map(Self::Access)
    }
}

fn refresh_token(Found { token, location }: Found<'_>) -> Result<UnverifiedRefreshToken, AuthError> {
    match &*token {
        text if text.starts_with(REFRESH_TOKEN_PREFIX) => {
            Ok(UnverifiedRefreshToken(Shown::new(token, location)))
        }
        text if text.split('.').count() == 3 => Err(AuthError::RefreshTokenRequired),
        _ => Err(TokenError::Segments.into()),
    }
}

fn fresh(claims: &Claims, max_age: Duration) -> Result<(), AuthError> {
    if claims.fresh == Some(true) { Ok(()) } else { Err(AuthError::NotFresh { max_age }) }
}

fn recent(claims: &Claims, now: Timestamp, max_age: Duration) -> Result<(), AuthError> {
    crate::verify::Requirement::live().max_age(max_age).check(claims, now)
}

/// The live token of a request, which must be there and meet the route's own condition.
pub(super) async fn live<S>(
    parts: &Parts,
    state: &S,
    condition: impl FnOnce(&Claims, Timestamp) -> Result<(), AuthError>,
) -> Result<VerifiedToken, Rejection>
where
    Guard: FromRef<S>,
{
    let guard = Guard::from_ref(state);
    let admitted = accepted(parts, &guard, condition).await;
    admitted.map(|admitted| admitted.token).map_err(|failure| guard.reject_failure(parts, failure))
}

async fn accepted(
    parts: &Parts,
    guard: &Guard,
    condition: impl FnOnce(&Claims, Timestamp) -> Result<(), AuthError>,
) -> Result<Admitted, AuthFailure> {
    guard.admit(parts, Need::Required, condition).await?.ok_or_else(|| AuthError::MissingToken.into())
}

impl<C> Deref for AccessToken<C> {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.0.claims()
    }
}

/// Implements an extractor of a live token that meets `$condition`.
macro_rules! live {
    ([$($generics:tt)*], $extractor:ty, $make:expr, $condition:expr) => {
        impl<S, $($generics)*> FromRequestParts<S> for $extractor
        where
            Guard: FromRef<S>,
            S: Send + Sync,
        {
            type Rejection = Rejection;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
                live(parts, state, $condition).await.map($make)
            }
        }

        impl<$($generics)*> Deref for $extractor {
            type Target = Claims;

            fn deref(&self) -> &Claims {
                self.0.claims()
            }
        }
    };
}

live!([], FreshToken, Self, |claims, _| fresh(claims, Duration::ZERO));
live!([const SECONDS: u64], FreshWithin<SECONDS>, Self, |claims, now| {
    fresh(claims, Duration::from_secs(SECONDS))?;
    recent(claims, now, Duration::from_secs(SECONDS))
});
live!([const SECONDS: u64], MaxAge<SECONDS>, Self, |claims, now| {
    recent(claims, now, Duration::from_secs(SECONDS))
});
live!([W: RequiredScopes], Scoped<W>, |token| Self(token, PhantomData), |claims, _| {
    let missing = W::SCOPES.iter().find(|scope| !claims.scope.contains(scope));
    missing.map_or(Ok(()), |&scope| Err(AuthError::Scope(scope.into())))
});
live!([R: RequiredRole], WithRole<R>, |token| Self(token, PhantomData), |claims, _| {
    if claims.has_role(R::ROLE) { Ok(()) } else { Err(AuthError::Role(R::ROLE.into())) }
});
