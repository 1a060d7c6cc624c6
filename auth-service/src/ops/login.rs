//! Login: credentials begin a session.

use super::{
    Error, Hall,
    mint::{Delivery, Occasion, Tokens},
};
use crate::domain::{
    account::{Account, Email},
    audit::Event,
    client::ClientId,
    password::{Attempt, Password, dummy_hash},
    session::{Device, Session, SessionId, SessionSecret},
};

impl Hall {
    /// Begins a session for whoever knows the password of the account with that address.
    ///
    /// A known and an unknown account take the same path: the same queue, the same hashing, the same answer.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] when the account is unknown or disabled, or the password wrong; [`Error::Overloaded`]
    /// when there are too many logins at once.
    pub async fn login(
        &self,
        email: &str,
        attempt: Attempt,
        delivery: Delivery,
        device: Device,
    ) -> Result<Tokens, Error> {
        let email = email.parse::<Email>();
        let name = email.as_ref().map_or("", Email::as_str);
        self.take_login(name, device.address()).await?;
        let account = match &email {
            Ok(email) => self.store.account_by_email(email)?,
            Err(_) => None,
        };
        let hash = account.as_ref().map_or_else(dummy_hash, |account| account.password_hash.clone());
        let is_right = self.hashing.is_right(attempt.clone(), hash).await?;
        if let Some(account) = account.filter(|account| is_right && account.is_enabled()) {
            self.give_login_back(name).await?;
            self.rehash(&account, attempt).await?;
            return self.begin_session(&account, delivery, device).await;
        }
        self.store.add_audit(self.audit(Event::LoginFailed, &device)).await?;
        Err(Error::BadCredentials)
    }

    /// A hash that was brought from elsewhere, or made with lesser parameters, is replaced now that the password is known.
    /// One that can't be a password here, or that nobody has time to hash, keeps its hash: the login is none the worse.
    async fn rehash(&self, account: &Account, attempt: Attempt) -> Result<(), Error> {
        if account.password_hash.is_ours_and_current() {
            return Ok(());
        }
        let Ok(password) = Password::try_from(attempt) else { return Ok(()) };
        match self.hashing.hash(password, self.random.bytes()?).await {
            Ok(hash) => Ok(self.store.rehash(account.id, account.password_hash.clone(), hash).await?),
            Err(Error::Overloaded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn begin_session(
        &self,
        account: &Account,
        delivery: Delivery,
        device: Device,
    ) -> Result<Tokens, Error> {
        let now = self.clock.now();
        let session = Session {
            id: SessionId::random(&*self.random)?,
            account: account.id,
            client: ClientId::first_party(),
            secret: SessionSecret::random(&*self.random)?,
            generation: 0,
            created_at: now,
            rotated_at: now,
            device,
            revoked_at: None,
        };
        let login = self.audit_session(Event::Login, &session, &session.device);
        self.store.add_session(session.clone(), login).await?;
        self.mint_tokens(account, &session, Occasion::login(delivery), now)
    }
}
