//! Accounts, as an operator handles them.

use countermark::{
    clock::Timestamp,
    verify::{NumericDate, Revocation},
};

use crate::domain::{
    account::{Account, AccountId, Email, Role},
    audit::{AuditEntry, Event},
    password::{Attempt, Password, PasswordHash},
    session::{Device, Session, SessionId},
};
use crate::ops::{AuthService, Error, watch::barrier::Revoked};

/// Who did it, in the audit table.
pub(in crate::ops) const OPERATOR: &str = "by an operator";

/// An account that is brought from elsewhere.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// Its address.
    pub email: Email,
    /// Its password's hash, in whichever form it was made.
    pub password_hash: PasswordHash,
    /// What it is.
    pub roles: Vec<Role>,
}

impl AuthService {
    /// Makes an account, with roles.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::InvalidPassword`].
    pub async fn make_account(
        &self,
        email: Email,
        attempt: Attempt,
        roles: Vec<Role>,
    ) -> Result<Account, Error> {
        let mut why = self.audit(Event::AccountAdded, &Device::default());
        why.detail = Some(OPERATOR.to_owned());
        self.add_account(email, attempt.try_into()?, roles, None, Some(why)).await
    }

    /// Adds accounts with hashes that were made elsewhere, but for those whose address is taken; answers for each whether
    /// it was added.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; then none was added.
    pub async fn import_accounts(&self, brought: Vec<ImportedAccount>) -> Result<Vec<bool>, Error> {
        let now = self.clock.now();
        let account = |brought: ImportedAccount| -> Result<Account, Error> {
            Ok(Account {
                id: AccountId::random(&*self.random)?,
                email: brought.email,
                password_hash: brought.password_hash,
                roles: brought.roles,
                created_at: now,
                disabled_at: None,
            })
        };
        let accounts = brought.into_iter().map(account).collect::<Result<Vec<_>, _>>()?;
        let added = self.store.add_accounts(accounts).await?;
        let count = added.iter().filter(|&&added| added).count();
        if count > 0 {
            let mut entry = self.audit(Event::AccountsImported, &Device::default());
            entry.detail = Some(format!("{OPERATOR}: {count} accounts"));
            self.store.add_audit(entry).await?;
        }
        Ok(added)
    }

    /// Every account, by address.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn accounts(&self) -> Result<Vec<Account>, Error> {
        Ok(self.store.accounts()?)
    }

    /// The account with that id or address.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`] when there is none.
    pub fn account_named(&self, name: &str) -> Result<Account, Error> {
        let by_id = match name.parse::<AccountId>() {
            Ok(id) => self.store.account(id)?,
            Err(_) => None,
        };
        let found = match (by_id, name.parse::<Email>()) {
            (Some(account), _) => Some(account),
            (None, Ok(email)) => self.store.account_by_email(&email)?,
            (None, Err(_)) => None,
        };
        found.ok_or(Error::NoSuchAccount)
    }

    /// Disables an account: it can't log in, and all its sessions end, access tokens included.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn disable_account(&self, id: AccountId) -> Result<(), Error> {
        let why = self.by_operator(Event::AccountDisabled, id);
        let ended = self.store.disable_account(id, self.clock.now(), why).await?;
        self.feed.apply(&ended);
        Ok(())
    }

    /// Enables it again. Its sessions stay over.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn enable_account(&self, id: AccountId) -> Result<(), Error> {
        Ok(self.store.enable_account(id, self.by_operator(Event::AccountEnabled, id)).await?)
    }

    /// Deletes an account. All its sessions end, access tokens included.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn delete_account(&self, id: AccountId) -> Result<(), Error> {
        let why = self.by_operator(Event::AccountDeleted, id);
        let ended = self.store.delete_account(id, self.clock.now(), why).await?;
        self.feed.apply(&ended);
        Ok(())
    }

    /// Sets the password of an account. All its sessions end.
    ///
    /// # Errors
    /// [`Error::InvalidPassword`] when it can't be one.
    pub async fn set_password(&self, id: AccountId, attempt: Attempt) -> Result<(), Error> {
        let password: Password = attempt.try_into()?;
        let hash = self.hashing.hash(password, self.random.bytes()?).await?;
        let why = self.by_operator(Event::PasswordSet, id);
        let ended = self.store.set_password(id, hash, None, self.clock.now(), why).await?;
        self.feed.apply(&ended);
        Ok(())
    }

    /// Sets the roles of an account. A refresh reads them anew; when one is taken away, the access tokens that still say
    /// otherwise are revoked, while the sessions go on. They end, too, while the clock is behind what was minted.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn set_roles(&self, account: &Account, roles: Vec<Role>) -> Result<(), Error> {
        let now = self.clock.now();
        let takes_away = account.roles.iter().any(|role| !roles.contains(role));
        let revocation = takes_away.then(|| before(account.id, now)).transpose()?;
        let mut why = self.by_operator(Event::RolesSet, account.id);
        why.detail =
            Some(format!("{OPERATOR}: {}", roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")));
        let revoked = self.store.set_roles(account.id, roles, revocation, now, why).await?;
        self.feed.apply(&revoked);
        Ok(())
    }

    /// The live sessions of an account, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn sessions_of(&self, id: AccountId) -> Result<Vec<Session>, Error> {
        let now = self.clock.now();
        let sessions = self.store.sessions_of(id)?.into_iter();
        Ok(sessions.filter(|session| session.is_live(now, &self.policy.lifetimes)).collect())
    }

    /// Ends a session. Answers whether it went on until now, and what has to have reached every verifier.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn revoke_session(&self, id: SessionId) -> Result<(bool, Revoked), Error> {
        let Some(session) = self.store.session(id)?.filter(|session| session.revoked_at.is_none()) else {
            return Ok((false, self.revoked_so_far()?));
        };
        let mut why = self.by_operator(Event::SessionRevoked, session.account);
        why.session = Some(id);
        let ended = self.store.end_session(id, self.clock.now(), why).await?;
        Ok((ended.is_some(), self.applied(ended.as_slice())?))
    }

    fn by_operator(&self, event: Event, account: AccountId) -> AuditEntry {
        let entry = self.audit(event, &Device::default());
        AuditEntry { account: Some(account), detail: Some(OPERATOR.to_owned()), ..entry }
    }
}

/// The account's access tokens up to now.
fn before(id: AccountId, now: Timestamp) -> Result<Revocation, Error> {
    let subject = id.to_string().parse().map_err(|_| Error::Defect("an account's id is no subject"))?;
    Ok(Revocation::Account(subject, NumericDate::from_unix_seconds(now.unix_seconds())))
}
