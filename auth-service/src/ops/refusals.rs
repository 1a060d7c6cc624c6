//! What was refused a moment ago, counted in memory. Each minute, and at the stop, it becomes one audit entry for each client or
//! account, however many tries there were: so nobody fills the audit trail with them. A crash loses that minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::domain::{account::AccountId, audit::Event, client::ClientId};

/// Distinct refusals that are counted apart within a minute. Those past it are counted together.
const MOST: usize = 1_000;

/// Who was refused, and what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::ops) struct Refused {
    pub event: Event,
    pub account: Option<AccountId>,
    pub client: Option<ClientId>,
    /// What was tried, in a few words.
    pub what: &'static str,
}

/// The counts since the last time that they were recorded.
#[derive(Debug, Default)]
pub(in crate::ops) struct Refusals(Mutex<HashMap<Refused, u64>>);

impl Refusals {
    pub(in crate::ops) fn count(&self, refused: Refused) {
        self.add(refused, 1);
    }

    pub(in crate::ops) fn add(&self, refused: Refused, times: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_separate = counts.len() < MOST || counts.contains_key(&refused);
        let refused = if is_separate { refused } else { Refused { account: None, client: None, ..refused } };
        *counts.entry(refused).or_default() += times;
    }

    /// Takes the counts. They begin anew.
    pub(in crate::ops) fn take(&self) -> Vec<(Refused, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_are_refused_few_are_counted_apart() {
        let refusals = Refusals::default();
        let of = |client: usize| Refused {
            event: Event::ClientRefused,
            account: None,
            client: Some(format!("client-{client}").parse().unwrap()),
            what: "a wrong secret",
        };
        for client in 0..3 * MOST {
            refusals.count(of(client));
            refusals.count(of(0));
        }
        let taken = refusals.take();
        assert_eq!(taken.len(), MOST + 1);
        assert_eq!(taken.iter().map(|(_, count)| count).sum::<u64>(), 6 * MOST as u64);
        let count = |client| taken.iter().find(|(refused, _)| refused.client == client).unwrap().1;
        assert_eq!(count(of(0).client), 3 * MOST as u64 + 1);
        assert_eq!(count(None), 2 * MOST as u64);
        assert!(refusals.take().is_empty());
    }
}
