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
};

const ADD: &str = "INSERT INTO accounts (id, email, password_hash, roles, created_at, disabled_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING";
const SET_PASSWORD: &str = "UPDATE accounts SET password_hash = $1 WHERE id = $2";
const DISABLE: &str = "UPDATE accounts SET disabled_at = $1 WHERE id = $2 AND disabled_at IS NULL";
const ENABLE: &str = "UPDATE accounts SET disabled_at = NULL WHERE id = $1";
const DELETE: &str = "DELETE FROM accounts WHERE id = $1";
const SET_ROLES: &str = "UPDATE accounts SET roles = $1 WHERE id = $2";
const PAGE: &str = "SELECT id, email, password_hash, roles, created_at, disabled_at FROM accounts
    WHERE email > $1 ORDER BY email LIMIT $2";
pub(super) const BY_EMAIL: &str =
    "SELECT id, email, password_hash, roles, created_at, disabled_at FROM accounts WHERE email = $1";
pub(super) const BY_ID: &str =
    "SELECT id, email, password_hash, roles, created_at, disabled_at FROM accounts WHERE id = $1";

/// Why an account was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// Another account has this address.
    EmailTaken,
    /// The invitation was used by another request, or its row was removed.
    InvitationUsed,
}

/// A change of an account that ends its sessions.
#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Its password is replaced.
    Password(PasswordHash),
    /// It is disabled.
    Disable,
    /// It is deleted.
    Delete,
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

    /// At most `limit` accounts, ordered by address, after the address `after`.
    pub fn accounts_after(&self, after: Option<&Email>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(PAGE)?;
            let rows = statement.query_map(params![after.map_or("", Email::as_str), limit], Columns::read)?;
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

/// Makes a change to an account, in the transaction that ends its sessions.
pub(super) fn change(
    tx: &Connection,
    id: AccountId,
    change: &AccountChange,
    now: Timestamp,
) -> rusqlite::Result<()> {
    match change {
        AccountChange::Password(hash) => rehash(tx, id, hash),
        AccountChange::Disable => {
            tx.prepare_cached(DISABLE)?.execute(params![now.unix_millis(), id.as_bytes()]).map(drop)
        }
        AccountChange::Delete => tx.prepare_cached(DELETE)?.execute([id.as_bytes()]).map(drop),
    }
}

/// Replaces the stored password hash by a new hash of the same password.
pub(super) fn rehash(tx: &Connection, id: AccountId, hash: &PasswordHash) -> rusqlite::Result<()> {
    tx.prepare_cached(SET_PASSWORD)?.execute(params![hash.as_str(), id.as_bytes()]).map(drop)
}

/// Reads roles in their stored form.
pub(super) fn to_roles(stored: &str) -> Result<Vec<Role>, StoreError> {
    let words: Vec<String> = from_words(stored)?;
    let roles = words.iter().map(|role| role.parse()).collect::<Result<_, _>>();
    roles.map_err(|_| StoreError::Damaged("a role"))
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
        Ok(Self {
            id: AccountId::from_bytes(row.id),
            email: row.email.parse().map_err(|_| StoreError::Damaged("an email address"))?,
            password_hash: row
                .password_hash
                .parse::<PasswordHash>()
                .map_err(|_| StoreError::Damaged("a password hash"))?,
            roles: to_roles(&row.roles)?,
            created_at: Timestamp::from_unix_millis(row.created_at),
            disabled_at: row.disabled_at.map(Timestamp::from_unix_millis),
        })
    }
}
