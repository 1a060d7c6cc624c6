//! [`TrustedIssuers`]: the issuers that one guard trusts, each with its own keys, audiences and leeway. Both guards verify
//! through it.

use super::TrustedIssuer;
#[cfg(feature = "http")]
use crate::verify::StalePolicy;
use crate::{
    clock::Timestamp,
    verify::{AnyAge, AuthError, TokenError, unverified},
};

/// At least one trusted issuer.
#[derive(Clone, Debug)]
pub(crate) struct TrustedIssuers {
    first: TrustedIssuer,
    others: Vec<TrustedIssuer>,
}

impl From<TrustedIssuer> for TrustedIssuers {
    fn from(first: TrustedIssuer) -> Self {
        Self { first, others: Vec::new() }
    }
}

impl TrustedIssuers {
    /// Trusts another issuer too.
    pub(crate) fn add(&mut self, issuer: TrustedIssuer) {
        self.others.push(issuer);
    }

    /// The time by which the first issuer's tokens are verified.
    pub(crate) fn now(&self) -> Timestamp {
        self.first.now()
    }

    /// Verifies a token with the issuer that it names, under the stale policy of a route, if the route has one.
    #[cfg(feature = "http")]
    pub(crate) async fn verify_under(
        &self,
        token: &str,
        policy: Option<StalePolicy>,
    ) -> Result<AnyAge, AuthError> {
        self.of(token)?.verify_under(token, policy).await
    }

    /// Verifies a token with the issuer that it names.
    pub(crate) async fn verify_any_age(&self, token: &str) -> Result<AnyAge, AuthError> {
        self.of(token)?.verify_any_age(token).await
    }

    /// Verifies a token with the issuer that it names, where nobody can wait.
    #[cfg(feature = "grpc")]
    pub(crate) fn verify_at_hand(&self, token: &str) -> Result<AnyAge, AuthError> {
        self.of(token)?.verify_at_hand(token)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &TrustedIssuer> {
        [&self.first].into_iter().chain(&self.others)
    }

    /// The issuer that the token names. The name is unverified; that issuer alone proves it with its keys.
    pub(super) fn of(&self, token: &str) -> Result<&TrustedIssuer, TokenError> {
        if self.others.is_empty() {
            return Ok(&self.first);
        }
        let Some(issuer) = unverified::issuer(token) else { return Ok(&self.first) };
        self.all().find(|trusted| *trusted.issuer() == issuer).ok_or(TokenError::Issuer)
    }
}
