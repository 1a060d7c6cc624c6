//! Registration: accounts that people make for themselves.

use super::{Error, Hall};
use crate::{
    config::Registration,
    domain::{
        account::{Account, AccountId, Email, Role},
        password::{Attempt, Password},
        session::Device,
    },
};

impl Hall {
    /// Makes an account without roles.
    ///
    /// # Errors
    /// [`Error::RegistrationClosed`] unless registration is open; [`Error::EmailTaken`], after the same work;
    /// [`Error::InvalidEmail`] and [`Error::InvalidPassword`].
    pub async fn register(&self, email: &str, attempt: Attempt, device: &Device) -> Result<Account, Error> {
        match self.policy.registration {
            Registration::Open => {
                self.take_registration(device.address()).await?;
                self.add_account(email.parse()?, attempt.try_into()?, Vec::new()).await
            }
            Registration::Closed | Registration::Invite => Err(Error::RegistrationClosed),
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], after the same work.
    pub(super) async fn add_account(
        &self,
        email: Email,
        password: Password,
        roles: Vec<Role>,
    ) -> Result<Account, Error> {
        let password_hash = self.hashing.hash(password, self.random.bytes()?).await?;
        let account = Account {
            id: AccountId::random(&*self.random)?,
            email,
            password_hash,
            roles,
            created_at: self.clock.now(),
            disabled_at: None,
        };
        self.store.add_account(account.clone()).await?.map_err(|_| Error::EmailTaken)?;
        Ok(account)
    }
}
