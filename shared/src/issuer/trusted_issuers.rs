//! The judges of several issuers, each with its own keys, audiences and leeway.

use super::TrustedIssuer;
use crate::verify::{TokenError, unverified};

/// One judge for each issuer that is believed; at least one.
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
    /// Adds the judge of another issuer.
    pub(crate) fn add(&mut self, judge: TrustedIssuer) {
        self.others.push(judge);
    }

    /// The judge of the first issuer.
    pub(crate) fn first(&self) -> &TrustedIssuer {
        &self.first
    }

    /// Changes the judge of the first issuer.
    pub(crate) fn change_first(&mut self, change: impl FnOnce(TrustedIssuer) -> TrustedIssuer) {
        self.first = change(self.first.clone());
    }

    /// Changes every judge.
    pub(crate) fn change_all(&mut self, change: impl Fn(TrustedIssuer) -> TrustedIssuer) {
        for judge in [&mut self.first].into_iter().chain(&mut self.others) {
            *judge = change(judge.clone());
        }
    }

    /// Who judges that token: the judge of the issuer that it names, and that judge alone proves the name.
    pub(crate) fn of(&self, token: &str) -> Result<&TrustedIssuer, TokenError> {
        if self.others.is_empty() {
            return Ok(&self.first);
        }
        let Some(issuer) = unverified::issuer(token) else { return Ok(&self.first) };
        let mut judges = [&self.first].into_iter().chain(&self.others);
        judges.find(|judge| *judge.issuer() == issuer).ok_or(TokenError::Issuer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::SystemClock,
        forge::verifier,
        issuer::KeySource,
        verify::{KeySet, TokenCache},
    };

    /// A source that never has keys.
    #[derive(Debug)]
    struct Without;

    impl KeySource for Without {
        fn held(&self) -> Option<Arc<KeySet>> {
            None
        }

        fn newer(&self) -> std::pin::Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
            Box::pin(std::future::ready(None))
        }
    }

    #[test]
    fn what_changes_every_judge_changes_the_first_and_all_others() {
        let judge = || TrustedIssuer::new(verifier(), Arc::new(Without), Arc::new(SystemClock::new()));
        let mut judges = TrustedIssuers::from(judge());
        judges.add(judge());
        judges.add(judge());
        let cache = Arc::new(TokenCache::default());
        judges.change_all(|judge| judge.with_cache(Arc::clone(&cache)));
        assert_eq!(Arc::strong_count(&cache), 4);
    }
}
