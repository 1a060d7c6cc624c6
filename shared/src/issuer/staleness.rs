//! [`Staleness`]: what happens to good tokens when the issuer has been silent for too long, so that their revocation may have
//! been missed.

use std::{fmt::Debug, pin::Pin, sync::Arc, time::Duration};

use crate::verify::{Freshness, StalePolicy};

/// Asks the issuer about a single token.
pub trait LiveAnswer: Debug + Send + Sync + 'static {
    /// Whether the token is active; `None` when the issuer gives no answer.
    fn is_active<'a>(&'a self, token: &'a str) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + 'a>>;
}

/// What happens to good tokens when the issuer has been silent for too long.
#[derive(Clone, Debug)]
pub struct Staleness {
    freshness: Arc<Freshness>,
    after: Duration,
    policy: StalePolicy,
    issuer: Option<Arc<dyn LiveAnswer>>,
}

impl Staleness {
    /// Follows `policy` when `freshness` says that the issuer has been silent for longer than `after`.
    #[must_use]
    pub fn new(freshness: Arc<Freshness>, after: Duration, policy: StalePolicy) -> Self {
        Self { freshness, after, policy, issuer: None }
    }

    /// Asks `issuer` under [`StalePolicy::Introspect`]. Without it that policy acts as [`StalePolicy::Deny`].
    #[must_use]
    pub fn with_introspection(self, issuer: Arc<dyn LiveAnswer>) -> Self {
        Self { issuer: Some(issuer), ..self }
    }

    pub(super) fn with_policy(self, policy: StalePolicy) -> Self {
        Self { policy, ..self }
    }

    /// The verdict on a good token at the instant `now` of the monotonic clock. The clock is read only when the policy needs
    /// it. The policy of a route comes before the one that is set here.
    pub(super) fn verdict(&self, of_route: Option<StalePolicy>, now: impl Fn() -> Duration) -> Verdict<'_> {
        match of_route.unwrap_or(self.policy) {
            StalePolicy::Allow => Verdict::Good,
            StalePolicy::Introspect | StalePolicy::Deny if !self.freshness.is_stale(now(), self.after) => {
                Verdict::Good
            }
            StalePolicy::Introspect => self.issuer.as_deref().map_or(Verdict::Refused, Verdict::Ask),
            StalePolicy::Deny => Verdict::Refused,
        }
    }
}

/// What happens to a good token.
pub(super) enum Verdict<'a> {
    /// It is accepted.
    Good,
    /// The issuer is asked.
    Ask(&'a dyn LiveAnswer),
    /// It is refused for now.
    Refused,
}
