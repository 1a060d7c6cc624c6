//! Login: credentials begin a session.

use super::Sessions;
use crate::{
    domain::{
        account::{Account, Email},
        audit::Event,
        client::ClientId,
        password::{Attempt, Password, PasswordHash, dummy_hash},
        session::{Device, Generation, Session, SessionId, SessionSecret},
    },
    ops::{
        error::{Fault, Overloaded, TooManyTries, has_faults},
        tokens::mint::{Delivery, IssuedTokens, MintContext},
    },
    store::sessions::{Begun, Marked, NewSession},
};

/// A login begins no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The password is wrong, or the account is unknown or disabled: one answer for all.
    #[error("wrong password, unknown or disabled account")]
    BadCredentials,
    /// A limit is reached.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(LoginError);

impl Sessions {
    /// Begins a session for a user who knows the password of the account with that address.
    ///
    /// A known and an unknown account take the same path: the same queue, the same hashing, the same answer. A login
    /// writes twice: the try is counted, and the session begins.
    pub async fn login(
        &self,
        email: &str,
        attempt: Attempt,
        delivery: Delivery,
        device: Device,
    ) -> Result<IssuedTokens, LoginError> {
        let email = email.parse::<Email>();
        self.take_login(email.as_ref().map_or("", Email::as_str), device.address()).await??;
        loop {
            let account = match &email {
                Ok(email) => self.context.store.account_by_email(email)?,
                Err(_) => None,
            };
            let hash = account.as_ref().map_or_else(dummy_hash, |account| account.password_hash.clone());
            let is_right = self.hashing.is_right(attempt.clone(), hash).await??;
            let Some(account) = account.filter(|account| is_right && account.is_enabled()) else {
                self.context.store.add_audit(self.context.audit(Event::LoginFailed, &device)).await?;
                return Err(LoginError::BadCredentials);
            };
            let rehashed = self.rehash(&account, attempt.clone()).await?;
            // The password may have been changed, or the account disabled, while the old one was hashed. Such a login
            // begins no session, and is checked again.
            if let Some(tokens) = self.begin(account, rehashed, delivery, device.clone()).await? {
                return Ok(tokens);
            }
        }
    }

    /// A current hash in place of one that was imported, or made with lesser parameters. `None` when the hash is current,
    /// the password could not be chosen here, or the hashing queue is full: then the account keeps its hash.
    async fn rehash(&self, account: &Account, attempt: Attempt) -> Result<Option<PasswordHash>, Fault> {
        if account.password_hash.is_ours_and_current() {
            return Ok(None);
        }
        let Ok(password) = Password::try_from(attempt) else { return Ok(None) };
        Ok(self.hash(password).await?.ok())
    }

    /// Begins the session, with one write. `None` when the account has changed since its password was checked.
    async fn begin(
        &self,
        mut account: Account,
        rehashed: Option<PasswordHash>,
        delivery: Delivery,
        device: Device,
    ) -> Result<Option<IssuedTokens>, Fault> {
        let session = self.new_session(&account, device)?;
        let now = session.created_at;
        let draft = self.tokens.draft_permit(&account.id.to_string(), session.client.as_str(), now);
        let new = NewSession {
            checked: account.password_hash.clone(),
            rehashed,
            refund: self.account_limit(account.email.as_str()),
            mark: draft.mark(),
            why: self.context.audit_session(Event::Login, &session, &session.device),
            session: session.clone(),
        };
        let begun = self.context.store.begin_session(new).await?;
        let Some(Begun { roles, is_marked: Marked(is_marked) }) = begun else { return Ok(None) };
        account.roles = roles;
        let context = MintContext::login(delivery);
        match self.tokens.finish_permit(draft, is_marked)? {
            Some(permit) => self.tokens.mint_tokens(&account, &session, context, &permit, now).map(Some),
            None => self.tokens.mint_for(&session, context, now).await,
        }
    }

    fn new_session(&self, account: &Account, device: Device) -> Result<Session, Fault> {
        let now = self.context.clock.now();
        Ok(Session {
            id: SessionId::random(&*self.context.random)?,
            account: account.id,
            client: ClientId::first_party(),
            secret: SessionSecret::random(&*self.context.random)?,
            generation: Generation::default(),
            created_at: now,
            rotated_at: now,
            device,
            revoked_at: None,
        })
    }
}
