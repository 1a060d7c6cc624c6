//! Limits on logins and registrations, before anything is hashed.

use std::net::IpAddr;

use countermark_service::address::network_of;

use crate::ops::{AuthService, Error};
use crate::{
    domain::login_limits::{Rate, Wait},
    store::login_tries::Limit,
};

impl AuthService {
    /// Counts a try to log in. Failures of one account are counted by counting every try, and giving the successful ones
    /// back: so tries that run at once can't slip through together.
    pub(in crate::ops) async fn take_login(&self, email: &str, address: Option<IpAddr>) -> Result<(), Error> {
        let limits = self.policy.login_limits;
        let account = limits.account.map(|rate| self.limit(rate, "account", email));
        self.take(account.into_iter().chain(self.everybodys(address)).collect()).await
    }

    /// Counts a try to register.
    pub(in crate::ops) async fn take_registration(&self, address: Option<IpAddr>) -> Result<(), Error> {
        self.take(self.everybodys(address).collect()).await
    }

    /// Takes back what a successful login counted as a failure of its account.
    pub(in crate::ops) async fn refund_login(&self, email: &str) -> Result<(), Error> {
        if let Some(rate) = self.policy.login_limits.account {
            self.store.give_try_back(self.limit(rate, "account", email)).await?;
        }
        Ok(())
    }

    fn everybodys(&self, address: Option<IpAddr>) -> impl Iterator<Item = Limit> {
        let limits = self.policy.login_limits;
        let network = address.map(|address| network_of(address).to_string());
        let address =
            limits.address.zip(network).map(|(rate, network)| self.limit(rate, "address", &network));
        let global = limits.global.map(|rate| self.limit(rate, "global", ""));
        address.into_iter().chain(global)
    }

    async fn take(&self, limits: Vec<Limit>) -> Result<(), Error> {
        if limits.is_empty() {
            return Ok(());
        }
        let taken = self.store.take_try(limits, self.clock.now()).await?;
        taken.map_err(|Wait(wait)| Error::TooManyTries(wait))
    }

    fn limit(&self, rate: Rate, kind: &str, name: &str) -> Limit {
        Limit { subject: self.keys.refresh.load().mac(&format!("{kind} {name}")), rate }
    }
}
