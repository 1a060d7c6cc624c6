//! Limits on logins and registrations. A try is counted before a password is hashed.

use std::net::IpAddr;

use countermark_service::address::network_of;

use super::Sessions;
use crate::{
    domain::{
        account::Email,
        audit::Event,
        login_limits::{Rate, Wait},
    },
    ops::{Fault, error::TooManyTries, refusals::Refused},
    store::login_tries::Limit,
};

impl Sessions {
    /// Counts a try to log in. The limit of an account is on failures: every try counts, and a successful one is given
    /// back. So tries that run at once can't get past the limit together.
    pub(super) async fn take_login(
        &self,
        email: &str,
        address: Option<IpAddr>,
    ) -> Result<Result<(), TooManyTries>, Fault> {
        let account = self.account_limit(email);
        self.take("login", account.into_iter().chain(self.shared_limits(address)).collect()).await
    }

    /// Counts a try to register.
    pub(super) async fn take_registration(
        &self,
        address: Option<IpAddr>,
    ) -> Result<Result<(), TooManyTries>, Fault> {
        self.take("registration", self.shared_limits(address).collect()).await
    }

    /// Gives the try of a successful login back to its account, in a transaction of its own.
    pub(super) async fn refund_login(&self, email: &str) -> Result<(), Fault> {
        if let Some(limit) = self.account_limit(email) {
            self.context.store.refund_try(limit).await?;
        }
        Ok(())
    }

    /// The limit on failures of that account, if there is one. All spellings of an address have one limit.
    pub(super) fn account_limit(&self, email: &str) -> Option<Limit> {
        let rate = self.context.policy.login_limits.account?;
        Some(self.limit(rate, "account", &Email::key(email)))
    }

    fn shared_limits(&self, address: Option<IpAddr>) -> impl Iterator<Item = Limit> {
        let limits = self.context.policy.login_limits;
        let network = address.map(|address| network_of(address).to_string());
        let address =
            limits.address.zip(network).map(|(rate, network)| self.limit(rate, "address", &network));
        let global = limits.global.map(|rate| self.limit(rate, "global", ""));
        address.into_iter().chain(global)
    }

    async fn take(&self, what: &'static str, limits: Vec<Limit>) -> Result<Result<(), TooManyTries>, Fault> {
        if limits.is_empty() {
            return Ok(Ok(()));
        }
        let taken = self.context.store.take_try(limits, self.context.clock.now()).await?;
        Ok(taken.map_err(|Wait(wait)| {
            let refused = Refused { event: Event::LimitReached, account: None, client: None, what };
            self.context.refusals.count(refused);
            TooManyTries(wait)
        }))
    }

    fn limit(&self, rate: Rate, kind: &str, name: &str) -> Limit {
        Limit { subject: self.keys.mac(&format!("{kind} {name}")), rate }
    }
}
