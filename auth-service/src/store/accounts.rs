//! Stores accounts: their addresses, password hashes and roles.

use countermark::{clock::Timestamp, verify::Revocation};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Store, StoreError, audit, from_words, invitations, minted,
    revocations::{self, LogEntry},
    sessions, to_words,
};
use crate::domain::{
    account::{Account, AccountId, Email, Role},
    audit::AuditEntry,
    password::PasswordHash,
    secret::SecretHash,
    session::SessionId,
};

const ADD: &str = "INSERT INTO accounts (id, email, password_hash, roles, created_at, disabled_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING";
const SET_PASSWORD: &str = "UPDATE accounts SET password_hash = $1 WHERE id = $2";
const DISABLE: &str = "UPDATE accounts SET disabled_at = $1 WHERE id = $2 AND disabled_at IS NULL";
const ENABLE: &str = "UPDATE accounts SET disabled_at = NULL WHERE id = $1";
const DELETE: &str = "DELETE FROM accounts WHERE id = $1";
const SET_ROLES: &str = "UPDATE accounts SET roles = $1 WHERE id = $2";
const ALL: &str =
    "SELECT id, email, password_hash, roles, created_at, disabled_at FROM accounts ORDER BY email";
const IS_STILL: &str = "SELECT 1 FROM accounts WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL";
const BY_EMAIL: &str =
    "SELECT id, email, password_hash, roles, created_at, disabled_at FROM accounts WHERE email = $1";
const BY_ID: &str =
    "SELECT id, email, password_hash, roles, created_at, disabled_at FROM accounts WHERE id = $1";

/// Why an account was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// Another account has this address.
    EmailTaken,
    /// The invitation was used by another request, or its row was removed.
    InvitationUsed,
}

impl Store {
    /// Adds an account. Uses `invitation` up and audits `why`, where they are given.
    ///
    /// The inner result says why the account was not added.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. The invitation is then unused.
    pub async fn add_account(
        &self,
        account: Account,
        invitation: Option<SecretHash>,
        why: Option<AuditEntry>,
    ) -> Result<Result<(), NotAdded>, StoreError> {
        self.database
            .write(move |tx| {
                if tx.prepare_cached(BY_EMAIL)?.exists([account.email.as_str()])? {
                    return Ok(Err(NotAdded::EmailTaken));
                }
                if let Some(code) = invitation
                    && !invitations::use_up(tx, code)?
                {
                    return Ok(Err(NotAdded::InvitationUsed));
                }
                add(tx, &account)?;
                if let Some(why) = why {
                    audit::add(tx, &why)?;
                }
                Ok(Ok(()))
            })
            .await
    }

    /// Adds each account whose address is free. Returns one flag for each account, in order: `true` when it was
    /// added.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. No account is added then.
    pub async fn add_accounts(&self, accounts: Vec<Account>) -> Result<Vec<bool>, StoreError> {
        self.database
            .write(move |tx| {
                let added = accounts.iter().map(|account| add(tx, account));
                added.collect::<Result<_, _>>().map_err(StoreError::from)
            })
            .await
    }

    /// Sets the password of an account. Ends its sessions except `spared`, and audits `why`. Returns the log entries
    /// of the ended sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn set_password(
        &self,
        id: AccountId,
        hash: PasswordHash,
        spared: Option<SessionId>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(SET_PASSWORD)?.execute(params![hash.as_str(), id.as_bytes()])?;
                audit::add(tx, &why)?;
                sessions::end_all(tx, id, spared, now)
            })
            .await
    }

    /// Disables an account, ends its sessions, and audits `why`. Returns the log entries of the ended sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn disable_account(
        &self,
        id: AccountId,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(DISABLE)?.execute(params![now.unix_millis(), id.as_bytes()])?;
                audit::add(tx, &why)?;
                sessions::end_all(tx, id, None, now)
            })
            .await
    }

    /// Enables an account, and audits `why`.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn enable_account(&self, id: AccountId, why: AuditEntry) -> Result<(), StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(ENABLE)?.execute([id.as_bytes()])?;
                Ok(audit::add(tx, &why)?)
            })
            .await
    }

    /// Ends the sessions of an account, deletes the account, and audits `why`. Returns the log entries of the ended
    /// sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn delete_account(
        &self,
        id: AccountId,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                audit::add(tx, &why)?;
                let ended = sessions::end_all(tx, id, None, now)?;
                tx.prepare_cached(DELETE)?.execute([id.as_bytes()])?;
                Ok(ended)
            })
            .await
    }

    /// Sets the roles of an account, appends `revocation` to the log if it is given, and audits `why`. Returns the
    /// new log entries.
    ///
    /// When the clock was set back, the account's sessions end instead. New tokens of those sessions would carry an
    /// `iat` after the mint watermark, which is in the future, so they could not be used yet. A new login gives
    /// usable tokens at once.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn set_roles(
        &self,
        id: AccountId,
        roles: Vec<Role>,
        revocation: Option<Revocation>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                let roles = to_words(roles.iter().map(Role::as_str));
                tx.prepare_cached(SET_ROLES)?.execute(params![roles, id.as_bytes()])?;
                audit::add(tx, &why)?;
                let Some(revocation) = revocation else { return Ok(Vec::new()) };
                if minted::is_set_back(minted::up_to(tx)?, now) {
                    return sessions::end_all(tx, id, None, now);
                }
                Ok(vec![revocations::append(tx, revocation, now)?])
            })
            .await
    }

    /// All accounts, ordered by address.
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(ALL)?;
            let rows = statement.query_map([], Columns::read)?;
            rows.map(|row| row?.try_into()).collect()
        })
    }

    /// The account with this address.
    pub fn account_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.database.read(|connection| {
            let row =
                connection.prepare_cached(BY_EMAIL)?.query_row([email.as_str()], Columns::read).optional()?;
            row.map(Account::try_from).transpose()
        })
    }

    /// The account with this id.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.database.read(|connection| {
            let row =
                connection.prepare_cached(BY_ID)?.query_row([id.as_bytes()], Columns::read).optional()?;
            row.map(Account::try_from).transpose()
        })
    }
}

/// `true` when the account is enabled and its stored password hash equals `hash`.
pub(super) fn is_still(tx: &Connection, id: AccountId, hash: &PasswordHash) -> rusqlite::Result<bool> {
    tx.prepare_cached(IS_STILL)?.exists(params![id.as_bytes(), hash.as_str()])
}

/// Replaces the stored password hash by a new hash of the same password.
pub(super) fn rehash(tx: &Connection, id: AccountId, hash: &PasswordHash) -> rusqlite::Result<()> {
    tx.prepare_cached(SET_PASSWORD)?.execute(params![hash.as_str(), id.as_bytes()]).map(drop)
}

/// Adds the account. `false` when its address is taken.
fn add(tx: &Connection, account: &Account) -> rusqlite::Result<bool> {
    let added = tx.prepare_cached(ADD)?.execute(params![
        account.id.as_bytes(),
        account.email.as_str(),
        account.password_hash.as_str(),
        to_words(account.roles.iter().map(Role::as_str)),
        account.created_at.unix_millis(),
        account.disabled_at.map(Timestamp::unix_millis),
    ])?;
    Ok(added == 1)
}

/// One row of the table, with the column types of the database.
struct Columns {
    id: [u8; 16],
    email: String,
    password_hash: String,
    roles: String,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl Columns {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            email: row.get(1)?,
            password_hash: row.get(2)?,
            roles: row.get(3)?,
            created_at: row.get(4)?,
            disabled_at: row.get(5)?,
        })
    }
}

impl TryFrom<Columns> for Account {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        let roles: Vec<String> = from_words(&row.roles)?;
        let roles = roles.iter().map(|role| role.parse()).collect::<Result<_, _>>();
        Ok(Self {
            id: AccountId::from_bytes(row.id),
            email: row.email.parse().map_err(|_| StoreError::Damaged("an email address"))?,
            password_hash: row
                .password_hash
                .parse::<PasswordHash>()
                .map_err(|_| StoreError::Damaged("a password hash"))?,
            roles: roles.map_err(|_| StoreError::Damaged("a role"))?,
            created_at: Timestamp::from_unix_millis(row.created_at),
            disabled_at: row.disabled_at.map(Timestamp::from_unix_millis),
        })
    }
}
