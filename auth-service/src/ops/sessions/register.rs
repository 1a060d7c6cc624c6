//! Registration: accounts that people make for themselves.

use super::Sessions;
use crate::{
    config::Registration,
    domain::{
        account::{Account, AccountId, Email, InvalidEmail, Role},
        audit::{AuditEntry, Event},
        password::{Attempt, InvalidPassword, Password, Weakness},
        secret::SecretHash,
        session::Device,
    },
    ops::error::{EmailTaken, Fault, Overloaded, TooManyTries, has_faults},
    store::accounts::NotAdded,
};

/// Why people may not make an account for themselves. The answer says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationClosed {
    /// Nobody may.
    #[error("Accounts are made by the operators of this service")]
    ToAll,
    /// Nobody may without an invitation.
    #[error("An invitation is needed to make an account; ask the operators of this service for one")]
    WithoutInvitation,
    /// The invitation was used, has expired, is for another address, or never was one.
    #[error(
        "The invitation is not good: it was used, has expired, or is for another address; ask for a new one"
    )]
    WithThisInvitation,
}

/// A registration makes no account.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// People may not make an account for themselves, or not so.
    #[error(transparent)]
    Closed(#[from] RegistrationClosed),
    /// A limit is reached.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// It is not an email address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmail),
    /// The password can't be chosen.
    #[error(transparent)]
    InvalidPassword(#[from] InvalidPassword),
    /// Somebody would guess the password.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// Another account has the address.
    #[error(transparent)]
    EmailTaken(#[from] EmailTaken),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(RegisterError);

/// An account is not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) enum NotAddedError {
    EmailTaken,
    InvitationUsed,
    Overloaded,
}

impl From<Overloaded> for NotAddedError {
    fn from(Overloaded: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<NotAdded> for NotAddedError {
    fn from(error: NotAdded) -> Self {
        match error {
            NotAdded::EmailTaken => Self::EmailTaken,
            NotAdded::InvitationUsed => Self::InvitationUsed,
        }
    }
}

impl From<NotAddedError> for RegisterError {
    fn from(error: NotAddedError) -> Self {
        match error {
            NotAddedError::EmailTaken => EmailTaken.into(),
            NotAddedError::InvitationUsed => RegistrationClosed::WithThisInvitation.into(),
            NotAddedError::Overloaded => Overloaded.into(),
        }
    }
}

/// A request to make an account.
#[derive(Debug)]
pub struct Registrant<'a> {
    /// Its address.
    pub email: &'a str,
    /// Its password.
    pub password: Attempt,
    /// The code of the invitation, if there is one.
    pub invite: Option<&'a str>,
    /// The device of the request.
    pub device: &'a Device,
}

impl Sessions {
    /// Makes an account: without roles, or with those of the invitation, which is used up.
    ///
    /// # Errors
    /// [`RegisterError`] when no account is made. [`EmailTaken`] comes after the same work as a success.
    pub async fn register(&self, registrant: Registrant<'_>) -> Result<Account, RegisterError> {
        let Registrant { email, password, invite, device } = registrant;
        match (self.context.policy.registration, invite) {
            (Registration::Closed, _) => return Err(RegistrationClosed::ToAll.into()),
            (Registration::Invite, None) => return Err(RegistrationClosed::WithoutInvitation.into()),
            (Registration::Open, _) | (Registration::Invite, Some(_)) => {}
        }
        self.take_registration(device.address()).await??;
        let (email, password): (Email, Password) = (email.parse()?, password.try_into()?);
        self.refuse_weak(&password, email.as_str())?;
        let mut why = self.context.audit(Event::Registered, device);
        // An invitation is checked before a password is hashed.
        let (invitation, roles) = match invite.map(SecretHash::of) {
            None => (None, Vec::new()),
            Some(code) => {
                let invitation = self.context.store.invitation(code)?;
                let good = invitation.filter(|invitation| invitation.is_for(&email, why.at));
                why.detail = Some("by invitation".to_owned());
                (Some(code), good.ok_or(RegistrationClosed::WithThisInvitation)?.roles)
            }
        };
        Ok(self.add_account(email, password, roles, invitation, Some(why)).await??)
    }

    /// Makes an account, and audits `why` about it.
    ///
    /// # Errors
    /// [`Fault`]; within, [`NotAddedError`] when the account was not added.
    pub(in crate::ops) async fn add_account(
        &self,
        email: Email,
        password: Password,
        roles: Vec<Role>,
        invitation: Option<SecretHash>,
        why: Option<AuditEntry>,
    ) -> Result<Result<Account, NotAddedError>, Fault> {
        let password_hash = match self.hash(password).await? {
            Ok(hash) => hash,
            Err(overloaded) => return Ok(Err(overloaded.into())),
        };
        let account = Account {
            id: AccountId::random(&*self.context.random)?,
            email,
            password_hash,
            roles,
            created_at: self.context.clock.now(),
            disabled_at: None,
        };
        let why = why.map(|why| AuditEntry { account: Some(account.id), ..why });
        let added = self.context.store.add_account(account.clone(), invitation, why).await?;
        Ok(added.map(|()| account).map_err(NotAddedError::from))
    }
}
