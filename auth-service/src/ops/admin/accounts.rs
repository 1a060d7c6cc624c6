//! Accounts, as an operator handles them.

use crate::{
    domain::{
        account::{Account, AccountId, Email, Role},
        audit::{AuditEntry, Event},
        password::{Attempt, InvalidPassword, Password, PasswordHash, Weakness},
        session::Device,
    },
    ops::{
        AuthService,
        error::{EmailTaken, Fault, Overloaded, has_faults},
        operator::by_whom,
        sessions::register::NotAddedError,
    },
    store::end_sessions::AccountChange,
};

/// An account that is imported from another system.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// Its address.
    pub email: Email,
    /// The hash of its password, in any form that can be verified.
    pub password_hash: PasswordHash,
    /// Its roles.
    pub roles: Vec<Role>,
}

/// An account is not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeAccountError {
    /// Another account has the address.
    #[error(transparent)]
    EmailTaken(#[from] EmailTaken),
    /// The password can't be chosen.
    #[error(transparent)]
    InvalidPassword(#[from] InvalidPassword),
    /// Somebody would guess the password.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

/// A password is not set.
#[derive(Debug, thiserror::Error)]
pub enum SetPasswordError {
    /// The password can't be chosen.
    #[error(transparent)]
    InvalidPassword(#[from] InvalidPassword),
    /// Somebody would guess the password.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(MakeAccountError, SetPasswordError);

impl From<NotAddedError> for MakeAccountError {
    fn from(error: NotAddedError) -> Self {
        match error {
            NotAddedError::EmailTaken => EmailTaken.into(),
            NotAddedError::Overloaded => Overloaded.into(),
            NotAddedError::InvitationUsed => Self::Fault(Fault::Defect("an invitation that was not given")),
        }
    }
}

impl AuthService {
    /// Makes an account, with roles.
    pub async fn make_account(
        &self,
        email: Email,
        attempt: Attempt,
        roles: Vec<Role>,
    ) -> Result<Account, MakeAccountError> {
        let mut why = self.context.audit(Event::AccountAdded, &Device::default());
        why.detail = Some(by_whom().to_owned());
        let password: Password = attempt.try_into()?;
        self.sessions.refuse_weak(&password, email.as_str())?;
        Ok(self.sessions.add_account(email, password, roles, None, Some(why)).await??)
    }

    /// Adds accounts with hashes that were made elsewhere, but for those whose address is taken. Returns for each account
    /// whether it was added.
    ///
    /// # Errors
    /// [`Fault`] when the service fails. No account is added then.
    pub async fn import_accounts(&self, imported: Vec<ImportedAccount>) -> Result<Vec<bool>, Fault> {
        let now = self.context.clock.now();
        let account = |imported: ImportedAccount| -> Result<Account, Fault> {
            Ok(Account {
                id: AccountId::random(&*self.context.random)?,
                email: imported.email,
                password_hash: imported.password_hash,
                roles: imported.roles,
                created_at: now,
                disabled_at: None,
            })
        };
        let accounts = imported.into_iter().map(account).collect::<Result<Vec<_>, _>>()?;
        let added = self.context.store.add_accounts(accounts).await?;
        let count = added.iter().filter(|&&added| added).count();
        if count > 0 {
            let mut entry = self.context.audit(Event::AccountsImported, &Device::default());
            entry.detail = Some(format!("{}: {count} accounts", by_whom()));
            self.context.store.add_audit(entry).await?;
        }
        Ok(added)
    }

    /// At most `limit` accounts, by address, after the address `after`.
    pub fn accounts_after(&self, after: Option<&Email>, limit: u32) -> Result<Vec<Account>, Fault> {
        Ok(self.context.store.accounts_after(after, limit)?)
    }

    /// The account with that id or address.
    pub fn account_named(&self, name: &str) -> Result<Option<Account>, Fault> {
        let store = &self.context.store;
        let by_id = match name.parse::<AccountId>() {
            Ok(id) => store.account(id)?,
            Err(_) => None,
        };
        Ok(match by_id {
            Some(account) => Some(account),
            None => store.account_by_email(name)?,
        })
    }

    /// Disables an account: it can't log in, and all its sessions end, access tokens included.
    pub async fn disable_account(&self, id: AccountId) -> Result<(), Fault> {
        let why = self.by_operator(Event::AccountDisabled, id);
        self.sessions.end_all(id, Some(AccountChange::Disable), why).await.map(drop)
    }

    /// Enables it again. Its sessions stay over.
    pub async fn enable_account(&self, id: AccountId) -> Result<(), Fault> {
        let why = self.by_operator(Event::AccountEnabled, id);
        Ok(self.context.store.enable_account(id, why).await?)
    }

    /// Deletes an account. All its sessions end, access tokens included. The account is disabled first, and the rows of its
    /// sessions are deleted in portions, so that nobody waits for many.
    pub async fn delete_account(&self, id: AccountId) -> Result<(), Fault> {
        self.disable_account(id).await?;
        while self.context.store.remove_sessions_of(id).await? {}
        let why = self.by_operator(Event::AccountDeleted, id);
        Ok(self.context.store.delete_account(id, why).await?)
    }

    /// Sets the password of an account. All its sessions end.
    pub async fn set_password(&self, id: AccountId, attempt: Attempt) -> Result<(), SetPasswordError> {
        let password: Password = attempt.try_into()?;
        let account = self.context.store.account(id)?;
        let address = account.as_ref().map_or("", |account| account.email.as_str());
        self.sessions.refuse_weak(&password, address)?;
        let change = AccountChange::Password(self.sessions.hash(password).await??);
        let why = self.by_operator(Event::PasswordSet, id);
        self.sessions.end_all(id, Some(change), why).await?;
        Ok(())
    }

    /// Sets the roles of an account. A refresh reads them anew. When a role is taken away, the access tokens that still
    /// have it are revoked, and the sessions go on. The sessions end, too, while the clock is behind the mint watermark.
    /// `false` when there is no such account.
    pub async fn set_roles(&self, id: AccountId, roles: Vec<Role>) -> Result<bool, Fault> {
        let mut why = self.by_operator(Event::RolesSet, id);
        why.detail =
            Some(format!("{}: {}", by_whom(), roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")));
        let revoked = self.context.store.set_roles(id, roles, self.context.clock.now(), why).await?;
        let Some(revoked) = revoked else { return Ok(false) };
        self.context.feed.apply(&revoked);
        Ok(true)
    }

    pub(super) fn by_operator(&self, event: Event, account: AccountId) -> AuditEntry {
        let entry = self.context.audit(event, &Device::default());
        AuditEntry { account: Some(account), detail: Some(by_whom().to_owned()), ..entry }
    }
}
