//! A protected route is one argument: each extractor refuses the request before the handler runs, and hands it the
//! verified token otherwise. The router's state has to give a [`Guard`] (`FromRef`).

use std::{marker::PhantomData, ops::Deref, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};

use super::{ErrorAnswer, Guard, Refusal};
use crate::token::{AnyAge, Claims, VerifiedToken};

/// A live access token. As `Option<AccessToken>` the token may be absent, but a bad one is still refused.
#[derive(Clone, Debug)]
pub struct AccessToken(pub VerifiedToken);

/// A live access token that was minted straight from credentials (RFC 9470).
#[derive(Clone, Debug)]
pub struct FreshToken(pub VerifiedToken);

/// An access token that may have expired.
#[derive(Clone, Debug)]
pub struct AnyAgeToken(pub AnyAge);

/// A live access token that has the scope `S`.
#[derive(Clone, Debug)]
pub struct Scoped<S>(pub VerifiedToken, PhantomData<S>);

/// A live access token whose subject has the role `R`.
#[derive(Clone, Debug)]
pub struct WithRole<R>(pub VerifiedToken, PhantomData<R>);

/// A scope as a type, for [`Scoped`].
pub trait RequiredScope {
    /// The scope.
    const SCOPE: &'static str;
}

/// A role as a type, for [`WithRole`].
pub trait RequiredRole {
    /// The role.
    const ROLE: &'static str;
}

impl<S> FromRequestParts<S> for AccessToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        accepted(parts, state, |_| Ok(())).await.map(Self)
    }
}

impl<S> OptionalFromRequestParts<S> for AccessToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, ErrorAnswer> {
        let guard = Guard::from_ref(state);
        let verified = guard.verify(parts).await.map_err(|refusal| guard.refuse(&refusal))?;
        Ok(verified.map(Self))
    }
}

impl<S> FromRequestParts<S> for FreshToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let is_fresh = |claims: &Claims| match claims.fresh {
            Some(true) => Ok(()),
            Some(false) | None => Err(Refusal::NotFresh { max_age: Duration::ZERO }),
        };
        accepted(parts, state, is_fresh).await.map(Self)
    }
}

impl<S> FromRequestParts<S> for AnyAgeToken
where
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let guard = Guard::from_ref(state);
        let verified = guard.verify_any_age(parts).await;
        let verified = verified.and_then(|token| token.ok_or(Refusal::MissingToken));
        verified.map(Self).map_err(|refusal| guard.refuse(&refusal))
    }
}

impl<S, W> FromRequestParts<S> for Scoped<W>
where
    Guard: FromRef<S>,
    S: Send + Sync,
    W: RequiredScope,
{
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let has_scope = |claims: &Claims| {
            if claims.scope.contains(W::SCOPE) { Ok(()) } else { Err(Refusal::Scope(W::SCOPE)) }
        };
        accepted(parts, state, has_scope).await.map(|token| Self(token, PhantomData))
    }
}

impl<S, R> FromRequestParts<S> for WithRole<R>
where
    Guard: FromRef<S>,
    S: Send + Sync,
    R: RequiredRole,
{
    type Rejection = ErrorAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorAnswer> {
        let has_role = |claims: &Claims| {
            if claims.has_role(R::ROLE) { Ok(()) } else { Err(Refusal::Role(R::ROLE)) }
        };
        accepted(parts, state, has_role).await.map(|token| Self(token, PhantomData))
    }
}

/// A live token that is there and that meets the route's own condition.
async fn accepted<S>(
    parts: &Parts,
    state: &S,
    condition: impl FnOnce(&Claims) -> Result<(), Refusal>,
) -> Result<VerifiedToken, ErrorAnswer>
where
    Guard: FromRef<S>,
{
    let guard = Guard::from_ref(state);
    let token = match guard.verify(parts).await {
        Ok(Some(token)) => condition(token.claims()).map(|()| token),
        Ok(None) => Err(Refusal::MissingToken),
        Err(refusal) => Err(refusal),
    };
    token.map_err(|refusal| guard.refuse(&refusal))
}

impl Deref for AccessToken {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.0.claims()
    }
}

impl Deref for FreshToken {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.0.claims()
    }
}

impl<S> Deref for Scoped<S> {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.0.claims()
    }
}

impl<R> Deref for WithRole<R> {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        self.0.claims()
    }
}
