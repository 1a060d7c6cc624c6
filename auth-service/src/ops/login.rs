//! Login: credentials begin a session.

use super::{Error, Hall, mint::Tokens};
use crate::domain::{
    account::{Account, Email},
    client::ClientId,
    password::{Attempt, dummy_hash},
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
    pub async fn login(&self, email: &str, attempt: Attempt, device: Device) -> Result<Tokens, Error> {
        let account = match email.parse::<Email>() {
            Ok(email) => self.store.account_by_email(&email)?,
            Err(_) => None,
        };
        let hash = account.as_ref().map_or_else(dummy_hash, |account| account.password_hash.clone());
        let is_right = self.hashing.is_right(attempt, hash).await?;
        match account.filter(|account| is_right && account.is_enabled()) {
            Some(account) => self.begin_session(&account, device).await,
            None => Err(Error::BadCredentials),
        }
    }

    async fn begin_session(&self, account: &Account, device: Device) -> Result<Tokens, Error> {
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
        };
        self.store.add_session(session.clone()).await?;
        self.mint_tokens(account, &session, true, now)
    }
}
