//! [`CurrentUser`]: the user behind a token, as the service stores users.

use std::ops::Deref;

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};

use super::{
    ErrorAnswer, Guard, Rejection,
    admit::{Admitted, AuthFailure, Need},
};
use crate::verify::{AuthError, VerifiedToken};

/// Looks users up, in a router's state `S`. A type must implement it to be a [`CurrentUser`]; the compiler checks that.
pub trait LoadUser<S>: Sized + Send {
    /// Finds the user of that token; `None` when there is none, which is answered with 401.
    ///
    /// # Errors
    /// The answer to give when users can't be looked up now, such as [`ErrorAnswer::unavailable`].
    fn load(
        token: &VerifiedToken,
        state: &S,
    ) -> impl Future<Output = Result<Option<Self>, ErrorAnswer>> + Send;
}

/// The user of a live access token, looked up after the token was verified. As `Option<CurrentUser<U>>` the token may be
/// absent; then no user is looked up.
#[derive(Clone, Debug)]
pub struct CurrentUser<U> {
    /// The user.
    pub user: U,
    /// The token.
    pub token: VerifiedToken,
}

impl<U, S> FromRequestParts<S> for CurrentUser<U>
where
    U: LoadUser<S>,
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let found = Self::load(parts, state, Need::Required).await?;
        found.ok_or_else(|| Guard::from_ref(state).reject(parts, AuthError::MissingToken))
    }
}

impl<U, S> OptionalFromRequestParts<S> for CurrentUser<U>
where
    U: LoadUser<S>,
    Guard: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        Self::load(parts, state, Need::Optional).await
    }
}

impl<U> CurrentUser<U> {
    async fn load<S>(parts: &mut Parts, state: &S, need: Need) -> Result<Option<Self>, Rejection>
    where
        U: LoadUser<S>,
        Guard: FromRef<S>,
    {
        let guard = Guard::from_ref(state);
        let admitted = guard.admit(parts, need, |_, _| Ok(())).await;
        let admitted = admitted.map_err(|failure| guard.reject_failure(parts, failure))?;
        let Some(Admitted { token, .. }) = admitted else { return Ok(None) };
        if let Some(user) = U::load(&token, state).await? {
            return Ok(Some(Self { user, token }));
        }
        Err(guard.reject_failure(parts, AuthFailure::with(AuthError::UnknownUser, token.into_claims())))
    }
}

impl<U> Deref for CurrentUser<U> {
    type Target = U;

    fn deref(&self) -> &U {
        &self.user
    }
}
