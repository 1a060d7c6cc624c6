//! Finds the token in a request and has it verified, with keys from whoever holds them.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::request::Parts;

use super::{
    ErrorAnswer, Refusal,
    location::{self, Found, Location},
};
use crate::{
    clock::{Clock, Timestamp},
    jwks::{Judge, KeySource, Refused},
    revocation::Revocations,
    token::{AnyAge, Claims, TokenCache, TokenError, VerifiedToken, Verifier},
};

/// The header that repeats a token's `csrf` value in an unsafe request by cookie.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What protects the routes of a router: put it into the router's state, and the extractors do the rest. Clones share
/// it.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    judge: Judge,
    locations: Vec<Location>,
    realm: String,
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
        // A quote or a backslash would end the quoted string that the realm stands in.
        let realm = realm.into().replace(['"', '\\'], "");
        let judge = Judge::new(verifier, keys, clock);
        Self(Arc::new(Inner { judge, locations: vec![Location::Header], realm }))
    }

    /// Takes tokens from `locations`, in that order, instead.
    #[must_use]
    pub fn with_locations(self, locations: Vec<Location>) -> Self {
        let (judge, realm) = (self.0.judge.clone(), self.0.realm.clone());
        Self(Arc::new(Inner { judge, locations, realm }))
    }

    /// Believes nothing that is revoked by `revocations`, which others keep current.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        let (locations, realm) = (self.0.locations.clone(), self.0.realm.clone());
        let judge = self.0.judge.clone().with_revocations(revocations);
        Self(Arc::new(Inner { judge, locations, realm }))
    }

    /// Remembers tokens in `cache`, which others may share, instead of in one of its own.
    #[must_use]
    pub fn with_cache(self, cache: Arc<TokenCache>) -> Self {
        let (locations, realm) = (self.0.locations.clone(), self.0.realm.clone());
        let judge = self.0.judge.clone().with_cache(cache);
        Self(Arc::new(Inner { judge, locations, realm }))
    }

    /// The clock that tokens are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.judge.now()
    }

    /// The token of a request; `None` when it has none.
    ///
    /// # Errors
    /// [`Refusal`] when it has one that is not believed, or several.
    pub async fn verify(&self, parts: &Parts) -> Result<Option<VerifiedToken>, Refusal> {
        match self.verify_any_age(parts).await? {
            None => Ok(None),
            Some(AnyAge::Live(token)) => Ok(Some(token)),
            Some(AnyAge::Expired(_)) => Err(TokenError::Expired.into()),
        }
    }

    /// The same, for the few routes that have a use for a token that has expired.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for expired tokens.
    pub async fn verify_any_age(&self, parts: &Parts) -> Result<Option<AnyAge>, Refusal> {
        let Some(Found { token, location }) = location::find(parts, &self.0.locations)? else {
            return Ok(None);
        };
        let token = self.0.judge.verify_any_age(&token).await?;
        if location == Location::Cookie && !parts.method.is_safe() {
            check_csrf(parts, token.claims())?;
        }
        Ok(Some(token))
    }

    /// Judges a token that the caller found by itself.
    ///
    /// # Errors
    /// [`Refusal`] when it is not believed; an expired one is.
    pub async fn judge_any_age(&self, token: &str) -> Result<AnyAge, Refusal> {
        Ok(self.0.judge.verify_any_age(token).await?)
    }

    /// Logs why a caller is turned away, once, and tells it what it may know.
    #[must_use]
    pub fn refuse(&self, refusal: &Refusal) -> ErrorAnswer {
        tracing::info!(reason = %refusal, "request refused");
        refusal.answer(&self.0.realm)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Token(error) => Self::Token(error),
            Refused::NoKeys => Self::NoKeys,
        }
    }
}

/// A browser sends a cookie along with requests that another site made it send; only a page of ours can repeat the
/// value that the login answered.
fn check_csrf(parts: &Parts, claims: &Claims) -> Result<(), Refusal> {
    let sent = parts.headers.get(CSRF_HEADER).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
    let expected = claims.csrf.as_deref().unwrap_or_default().as_bytes();
    if !expected.is_empty() && verify_slices_are_equal(sent, expected).is_ok() {
        Ok(())
    } else {
        Err(Refusal::Csrf)
    }
}
