//! Registration: accounts that people make for themselves.

use crate::ops::{AuthService, Error, error::RegistrationClosed};
use crate::{
    config::Registration,
    domain::{
        account::{Account, AccountId, Email, Role},
        audit::{AuditEntry, Event},
        password::{Attempt, Password},
        secret::SecretHash,
        session::Device,
    },
    store::accounts::NotAdded,
};

/// Who wants an account.
#[derive(Debug)]
pub struct Registrant<'a> {
    /// Under which address.
    pub email: &'a str,
    /// With which password.
    pub password: Attempt,
    /// By which invitation.
    pub invite: Option<&'a str>,
    /// From where.
    pub device: &'a Device,
}

impl AuthService {
    /// Makes an account: without roles, or with those of the invitation, which is used up.
    ///
    /// # Errors
    /// [`Error::RegistrationClosed`]; [`Error::EmailTaken`], after the same work; [`Error::InvalidEmail`] and
    /// [`Error::InvalidPassword`].
    pub async fn register(&self, registrant: Registrant<'_>) -> Result<Account, Error> {
        let Registrant { email, password, invite, device } = registrant;
        match (self.policy.registration, invite) {
            (Registration::Closed, _) => return Err(RegistrationClosed::ToAll.into()),
            (Registration::Invite, None) => return Err(RegistrationClosed::WithoutInvitation.into()),
            (Registration::Open, _) | (Registration::Invite, Some(_)) => {}
        }
        self.take_registration(device.address()).await?;
        let (email, password): (Email, Password) = (email.parse()?, password.try_into()?);
        let mut why = self.audit(Event::Registered, device);
        // An invitation that is no good is found out before it costs a hash.
        let (invitation, roles) = match invite.map(SecretHash::of) {
            None => (None, Vec::new()),
            Some(code) => {
                let invitation = self.store.invitation(code)?;
                let good = invitation.filter(|invitation| invitation.is_for(&email, why.at));
                why.detail = Some("by invitation".to_owned());
                (Some(code), good.ok_or(RegistrationClosed::WithThisInvitation)?.roles)
            }
        };
        self.add_account(email, password, roles, invitation, Some(why)).await
    }

    /// Makes an account; the entry that says why is about it then.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], after the same work; [`Error::RegistrationClosed`] when the invitation was used meanwhile.
    pub(in crate::ops) async fn add_account(
        &self,
        email: Email,
        password: Password,
        roles: Vec<Role>,
        invitation: Option<SecretHash>,
        why: Option<AuditEntry>,
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
        let why = why.map(|why| AuditEntry { account: Some(account.id), ..why });
        match self.store.add_account(account.clone(), invitation, why).await? {
            Ok(()) => Ok(account),
            Err(NotAdded::EmailTaken) => Err(Error::EmailTaken),
            Err(NotAdded::InvitationUsed) => Err(RegistrationClosed::WithThisInvitation.into()),
        }
    }
}
