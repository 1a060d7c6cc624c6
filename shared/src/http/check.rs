//! A service's own check of tokens that are good otherwise: does the tenant still pay, is the address the one of the login.

use std::{borrow::Cow, fmt, future::ready, pin::Pin, sync::Arc};

use axum::http::request::Parts;

use super::Refusal;
use crate::verify::VerifiedToken;

/// A token is good, and yet it is not let in: 403 `access_denied`. The caller is told this sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub Cow<'static, str>);

/// What a [`Check`] comes to.
pub type Checking<'c> = Pin<Box<dyn Future<Output = Result<(), Denied>> + Send + 'c>>;

/// A service's own check. A closure `Fn(&VerifiedToken, &Parts) -> Result<(), Denied>` is one; a type that has to wait for
/// something implements it.
pub trait Check: Send + Sync + 'static {
    /// Whether the request with that head is let in by that token.
    fn check<'c>(&'c self, token: &'c VerifiedToken, parts: &'c Parts) -> Checking<'c>;
}

impl<F> Check for F
where
    F: Fn(&VerifiedToken, &Parts) -> Result<(), Denied> + Send + Sync + 'static,
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

    pub(super) async fn run(&self, token: &VerifiedToken, parts: &Parts) -> Result<(), Refusal> {
        for check in &self.0 {
            check.check(token, parts).await.map_err(|Denied(reason)| Refusal::Denied(reason))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks", self.0.len())
    }
}
