//! Login: credentials begin a session.

use crate::domain::{
    account::{Account, Email},
    audit::Event,
    client::ClientId,
    password::{Attempt, Password, PasswordHash, dummy_hash},
    session::{Device, Session, SessionId, SessionSecret},
};
use crate::ops::{
    AuthService, Error,
    tokens::mint::{Delivery, MintContext, Tokens},
};

impl AuthService {
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
        loop {
            let account = match &email {
                Ok(email) => self.store.account_by_email(email)?,
                Err(_) => None,
            };
            let hash = account.as_ref().map_or_else(dummy_hash, |account| account.password_hash.clone());
            let is_right = self.hashing.is_right(attempt.clone(), hash).await?;
            let Some(account) = account.filter(|account| is_right && account.is_enabled()) else {
                self.store.add_audit(self.audit(Event::LoginFailed, &device)).await?;
                return Err(Error::BadCredentials);
            };
            let rehashed = self.rehash(&account, attempt.clone()).await?;
            // A password that was changed, or an account that was disabled, while its old one was hashed begins no session
            // after the others were ended: it is judged anew.
            if let Some(tokens) = self.begin_session(&account, rehashed, delivery, device.clone()).await? {
                self.refund_login(name).await?;
                return Ok(tokens);
            }
        }
    }

    /// The hash of ours for one that was brought from elsewhere, or made with lesser parameters, now that the password is
    /// known. One that can't be a password here, or that nobody has time to hash, keeps its hash: the login is none the
    /// worse.
    async fn rehash(&self, account: &Account, attempt: Attempt) -> Result<Option<PasswordHash>, Error> {
        if account.password_hash.is_ours_and_current() {
            return Ok(None);
        }
        let Ok(password) = Password::try_from(attempt) else { return Ok(None) };
        match self.hashing.hash(password, self.random.bytes()?).await {
            Ok(hash) => Ok(Some(hash)),
            Err(Error::Overloaded) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` when the account is not any more what was judged.
    async fn begin_session(
        &self,
        account: &Account,
        rehashed: Option<PasswordHash>,
        delivery: Delivery,
        device: Device,
    ) -> Result<Option<Tokens>, Error> {
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
        let judged = account.password_hash.clone();
        if !self.store.add_session(session.clone(), judged, rehashed, login).await? {
            return Ok(None);
        }
        self.mint_for(&session, MintContext::login(delivery), now).await
    }
}
