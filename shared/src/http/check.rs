//! [`Check`]: a service's own check of tokens that are good otherwise. Examples: the tenant pays, or the client's address is
//! the one of the login.

use std::{fmt, future::ready, pin::Pin, sync::Arc};

use axum::http::request::Parts;

use crate::verify::{AuthError, VerifiedToken};

/// The result of a [`Check`].
pub type Checking<'c> = Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send + 'c>>;

/// A service's own check. A closure `Fn(&VerifiedToken, &Parts) -> Result<(), AuthError>` is one; a type that has to wait for
/// something implements it.
pub trait Check: Send + Sync + 'static {
    /// Accepts or refuses the request with that head and token. [`AuthError::denied`] refuses it with 403 `access_denied`.
    fn check<'c>(&'c self, token: &'c VerifiedToken, parts: &'c Parts) -> Checking<'c>;
}

impl<F> Check for F
where
    F: Fn(&VerifiedToken, &Parts) -> Result<(), AuthError> + Send + Sync + 'static,
{
    fn check<'c>(&'c self, token: &'c VerifiedToken, parts: &'c Parts) -> Checking<'c> {
        Box::pin(ready(self(token, parts)))
    }
}

/// Checks, in order.
#[derive(Clone, Default)]
pub(super) struct Checks(Vec<Arc<dyn Check>>);

impl Checks {
    pub(super) fn push(&mut self, check: impl Check) {
        self.0.push(Arc::new(check));
    }

    pub(super) async fn run(&self, token: &VerifiedToken, parts: &Parts) -> Result<(), AuthError> {
        for check in &self.0 {
            check.check(token, parts).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks", self.0.len())
    }
}
