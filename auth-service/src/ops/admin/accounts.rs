//! Accounts, as an operator handles them.

use countermark::{
    clock::Timestamp,
    verify::{NumericDate, Revocation},
};

use crate::{
    domain::{
        account::{Account, AccountId, Email, Role},
        audit::{AuditEntry, Event},
        password::{Attempt, InvalidPassword, Password, PasswordHash},
        session::{Device, Session, SessionId},
    },
    ops::{
        AuthService,
        error::{EmailTaken, Fault, Overloaded, has_faults},
        sessions::{end::Ended, register::NotAddedError},
    },
    store::accounts::AccountChange,
};

/// The actor in the audit table.
pub(super) const OPERATOR: &str = "by an operator";

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
        why.detail = Some(OPERATOR.to_owned());
        Ok(self.sessions.add_account(email, attempt.try_into()?, roles, None, Some(why)).await??)
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
            entry.detail = Some(format!("{OPERATOR}: {count} accounts"));
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
        Ok(match (by_id, name.parse::<Email>()) {
            (Some(account), _) => Some(account),
            (None, Ok(email)) => store.account_by_email(&email)?,
            (None, Err(_)) => None,
        })
    }

    /// Disables an account: it can't log in, and all its sessions end, access tokens included.
    pub async fn disable_account(&self, id: AccountId) -> Result<(), Fault> {
        let why = self.by_operator(Event::AccountDisabled, id);
        self.sessions.end_all(id, None, Some(AccountChange::Disable), why).await.map(drop)
    }

    /// Enables it again. Its sessions stay over.
    pub async fn enable_account(&self, id: AccountId) -> Result<(), Fault> {
        let why = self.by_operator(Event::AccountEnabled, id);
        Ok(self.context.store.enable_account(id, why).await?)
    }

    /// Deletes an account. All its sessions end, access tokens included.
    pub async fn delete_account(&self, id: AccountId) -> Result<(), Fault> {
        let why = self.by_operator(Event::AccountDeleted, id);
        self.sessions.end_all(id, None, Some(AccountChange::Delete), why).await.map(drop)
    }

    /// Sets the password of an account. All its sessions end.
    pub async fn set_password(&self, id: AccountId, attempt: Attempt) -> Result<(), SetPasswordError> {
        let password: Password = attempt.try_into()?;
        let change = AccountChange::Password(self.sessions.hash(password).await??);
        let why = self.by_operator(Event::PasswordSet, id);
        self.sessions.end_all(id, None, Some(change), why).await?;
        Ok(())
    }

    /// Sets the roles of an account. A refresh reads them anew. When a role is taken away, the access tokens that still
    /// have it are revoked, and the sessions go on. The sessions end, too, while the clock is behind the mint watermark.
    pub async fn set_roles(&self, account: &Account, roles: Vec<Role>) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let takes_away = account.roles.iter().any(|role| !roles.contains(role));
        let revocation = takes_away.then(|| before(account.id, now)).transpose()?;
        let mut why = self.by_operator(Event::RolesSet, account.id);
        why.detail =
            Some(format!("{OPERATOR}: {}", roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")));
        let revoked = self.context.store.set_roles(account.id, roles, revocation, now, why).await?;
        self.context.feed.apply(&revoked);
        Ok(())
    }

    /// At most `limit` live sessions of an account, oldest first, after the session `after`. The last session that was
    /// looked at comes with them, for the next page; `None` at the end.
    pub fn sessions_after(
        &self,
        id: AccountId,
        after: Option<&Session>,
        limit: u32,
    ) -> Result<(Vec<Session>, Option<Session>), Fault> {
        let now = self.context.clock.now();
        let mut sessions = self.context.store.sessions_after(id, after, limit)?;
        let last = sessions.last().cloned();
        sessions.retain(|session| session.is_live(now, &self.context.policy.lifetimes));
        Ok((sessions, last))
    }

    /// Ends a session.
    pub async fn revoke_session(&self, id: SessionId) -> Result<Ended, Fault> {
        let session = self.context.store.session(id)?;
        let Some(session) = session.filter(|session| session.revoked_at.is_none()) else {
            return Ok(Ended { was_live: false, revoked: self.watch.revoked_so_far()? });
        };
        let mut why = self.by_operator(Event::SessionRevoked, session.account);
        why.session = Some(id);
        self.sessions.end(id, why).await
    }

    fn by_operator(&self, event: Event, account: AccountId) -> AuditEntry {
        let entry = self.context.audit(event, &Device::default());
        AuditEntry { account: Some(account), detail: Some(OPERATOR.to_owned()), ..entry }
    }
}

/// The account's access tokens up to now.
fn before(id: AccountId, now: Timestamp) -> Result<Revocation, Fault> {
    let subject = id.to_string().parse().map_err(|_| Fault::Defect("an account's id is no subject"))?;
    Ok(Revocation::Account(subject, NumericDate::from_unix_seconds(now.unix_seconds())))
}
