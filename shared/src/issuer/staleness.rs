//! What a judge does with good tokens when the issuer has not been heard of for too long, so that it may have missed their
//! revocation.

use std::{fmt::Debug, pin::Pin, sync::Arc, time::Duration};

use crate::verify::{Freshness, StalePolicy};

/// Whoever can ask the issuer about a single token.
pub trait LiveAnswer: Debug + Send + Sync + 'static {
    /// Whether it is active; `None` when there is no answer.
    fn is_active<'a>(&'a self, token: &'a str) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + 'a>>;
}

/// What is done with good tokens when the issuer has not been heard of for too long.
#[derive(Clone, Debug)]
pub struct Staleness {
    freshness: Arc<Freshness>,
    after: Duration,
    policy: StalePolicy,
    issuer: Option<Arc<dyn LiveAnswer>>,
}

impl Staleness {
    /// Follows `policy` when `freshness` says that the issuer has not been heard of for longer than `after`.
    #[must_use]
    pub fn new(freshness: Arc<Freshness>, after: Duration, policy: StalePolicy) -> Self {
        Self { freshness, after, policy, issuer: None }
    }

    /// Asks `issuer` under [`StalePolicy::Introspect`], which without one is treated as [`StalePolicy::Deny`].
    #[must_use]
    pub fn with_introspection(self, issuer: Arc<dyn LiveAnswer>) -> Self {
        Self { issuer: Some(issuer), ..self }
    }

    /// The same under another policy.
    #[must_use]
    pub fn with_policy(self, policy: StalePolicy) -> Self {
        Self { policy, ..self }
    }

    /// What holds for a good token at the instant `now` of the monotonic clock. It is read only where the policy asks for it.
    pub(super) fn verdict(&self, now: impl Fn() -> Duration) -> Verdict<'_> {
        match self.policy {
            StalePolicy::Allow => Verdict::Good,
            StalePolicy::Introspect | StalePolicy::Deny if !self.freshness.is_stale(now(), self.after) => {
                Verdict::Good
            }
            StalePolicy::Introspect => self.issuer.as_deref().map_or(Verdict::Refused, Verdict::Ask),
            StalePolicy::Deny => Verdict::Refused,
        }
    }
}

/// What holds for a good token.
pub(super) enum Verdict<'a> {
    /// It is believed.
    Good,
    /// The issuer is to be asked.
    Ask(&'a dyn LiveAnswer),
    /// It is refused for now.
    Refused,
}
