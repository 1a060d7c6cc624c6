//! Login: credentials begin a session.

use super::Sessions;
use crate::{
    domain::{
        account::Account,
        audit::{AuditEntry, Event},
        client::ClientId,
        password::{Attempt, Match, Password, PasswordHash, dummy_hash},
        session::{Device, Generation, Session, SessionId, SessionSecret},
    },
    ops::{
        error::{Fault, Overloaded, TooManyTries, has_faults},
        tokens::mint::{Delivery, IssuedTokens, MintContext},
    },
    store::sessions::{Begun, Marked, NewSession, Room},
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
        self.take_login(email, device.address()).await??;
        loop {
            let account = self.context.store.account_by_email(email)?;
            let hash = account.as_ref().map_or_else(dummy_hash, |account| account.password_hash.clone());
            let fits = self.hashing.is_right(attempt.clone(), hash).await??;
            let is_right = fits != Match::No;
            let known = account.as_ref().map(|account| account.id);
            let Some(account) = account.filter(|account| is_right && account.is_enabled()) else {
                let failed = AuditEntry { account: known, ..self.context.audit(Event::LoginFailed, &device) };
                self.context.store.add_audit(failed).await?;
                return Err(LoginError::BadCredentials);
            };
            let rehashed = self.rehash(&account, attempt.clone(), fits).await?;
            // The password may have been changed, or the account disabled, while the old one was hashed. Such a login
            // begins no session, and is checked again.
            if let Some(tokens) = self.begin(account, rehashed, delivery, device.clone()).await? {
                return Ok(tokens);
            }
        }
    }

    /// A current hash in place of one that was imported, made with lesser parameters, or made of the text as it was typed. `None` when the hash is current,
    /// the password could not be chosen here, or the hashing queue is full: then the account keeps its hash.
    async fn rehash(
        &self,
        account: &Account,
        attempt: Attempt,
        fits: Match,
    ) -> Result<Option<PasswordHash>, Fault> {
        if account.password_hash.is_ours_and_current() && fits == Match::Prepared {
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
            room: self.room(&session),
            why: self.context.audit_session(Event::Login, &session, &session.device),
            session: session.clone(),
        };
        let begun = self.context.store.begin_session(new).await?;
        let Some(Begun { displaced, roles, is_marked: Marked(is_marked) }) = begun else { return Ok(None) };
        self.context.feed.apply(&displaced);
        // A logout from all that was stored just before may not be applied here yet. Its entry would match this login's token.
        self.context.feed.catch_up()?;
        account.roles = roles;
        let context = MintContext::login(delivery);
        match self.tokens.finish_permit(draft, is_marked)? {
            Some(permit) => self.tokens.mint_tokens(&account, &session, context, &permit, now).map(Some),
            None => self.tokens.mint_for(&session, context, now).await,
        }
    }

    /// How many sessions the account may have beside this one.
    fn room(&self, session: &Session) -> Option<Room> {
        let most = self.context.policy.sessions_per_account?;
        let lifetimes = &self.context.policy.lifetimes;
        let mut why = self.context.audit(Event::SessionDisplaced, &session.device);
        (why.account, why.client) = (Some(session.account), Some(session.client.clone()));
        Some(Room {
            most: most.get(),
            created: session.created_at.before(lifetimes.absolute),
            rotated: session.created_at.before(lifetimes.idle),
            why,
        })
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
            ended_by: None,
        })
    }
}
