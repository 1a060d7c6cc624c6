//! Stores accounts: their addresses, password hashes and roles.

use countermark::{
    clock::Timestamp,
    verify::{NumericDate, Revocation},
};
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
const REPLACE_HASH: &str =
    "UPDATE accounts SET password_hash = $1 WHERE id = $2 AND password_hash = $3 AND disabled_at IS NULL";
const DISABLE: &str = "UPDATE accounts SET disabled_at = $1 WHERE id = $2 AND disabled_at IS NULL";
const ENABLE: &str = "UPDATE accounts SET disabled_at = NULL WHERE id = $1";
const DELETE: &str = "DELETE FROM accounts WHERE id = $1";
const ROLES: &str = "SELECT roles FROM accounts WHERE id = $1";
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
        self.write(move |tx| {
            if is_taken(tx, &account.email)? {
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
        self.write(move |tx| {
            let added = accounts.iter().map(|account| add(tx, account));
            added.collect::<Result<_, _>>().map_err(StoreError::from)
        })
        .await
    }

    /// Enables an account, and audits `why`.
    pub async fn enable_account(&self, id: AccountId, why: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached(ENABLE)?.execute([id.as_bytes()])?;
            Ok(audit::add(tx, &why)?)
        })
        .await
    }

    /// Sets the roles of an account, and audits `why`. When that takes a role away, the access tokens are revoked that
    /// have it. Returns the new log entries. `None` when there is no such account.
    ///
    /// When the clock was set back, the account's sessions end instead. New tokens of those sessions would carry an
    /// `iat` after the mint watermark, which is in the future, so they could not be used yet. A new login gives
    /// usable tokens at once.
    pub async fn set_roles(
        &self,
        id: AccountId,
        roles: Vec<Role>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Option<Vec<LogEntry>>, StoreError> {
        self.write(move |tx| {
            // Read in the same transaction: somebody else may have set them since the caller looked.
            let before: Option<String> =
                tx.prepare_cached(ROLES)?.query_row([id.as_bytes()], |row| row.get(0)).optional()?;
            let Some(before) = before else { return Ok(None) };
            let takes_away = to_roles(&before)?.iter().any(|role| !roles.contains(role));
            let roles = to_words(roles.iter().map(Role::as_str));
            tx.prepare_cached(SET_ROLES)?.execute(params![roles, id.as_bytes()])?;
            audit::add(tx, &why)?;
            if !takes_away {
                return Ok(Some(Vec::new()));
            }
            if minted::is_set_back(minted::up_to(tx)?, now) {
                return sessions::end_each(tx, id, None, now).map(Some);
            }
            let subject = id.to_string().parse().map_err(|_| StoreError::Damaged("an account's id"))?;
            let at = NumericDate::from_unix_seconds(now.unix_seconds());
            Ok(Some(vec![revocations::append(tx, Revocation::Account(subject, at), now)?]))
        })
        .await
    }

    /// Deletes an account, with the sessions that it has left, and audits `why`.
    pub async fn delete_account(&self, id: AccountId, why: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached(DELETE)?.execute([id.as_bytes()])?;
            Ok(audit::add(tx, &why)?)
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

    /// The account with the typed address, in whatever spelling either is written.
    pub fn account_by_email(&self, typed: &str) -> Result<Option<Account>, StoreError> {
        let spellings = Email::spellings(typed);
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(BY_EMAIL)?;
            for email in &spellings {
                if let Some(row) = statement.query_row([email.as_str()], Columns::read).optional()? {
                    return row.try_into().map(Some);
                }
            }
            Ok(None)
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

/// Disables an account, in the transaction that ends its sessions.
pub(super) fn disable(tx: &Connection, id: AccountId, now: Timestamp) -> rusqlite::Result<()> {
    tx.prepare_cached(DISABLE)?.execute(params![now.unix_millis(), id.as_bytes()]).map(drop)
}

/// Replaces the password hash of an enabled account, if it is `checked`. Returns whether it was.
pub(super) fn replace_hash(
    tx: &Connection,
    id: AccountId,
    checked: &PasswordHash,
    hash: &PasswordHash,
) -> rusqlite::Result<bool> {
    let row = params![hash.as_str(), id.as_bytes(), checked.as_str()];
    Ok(tx.prepare_cached(REPLACE_HASH)?.execute(row)? == 1)
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

/// Whether an account has the address, in any of its spellings.
fn is_taken(tx: &Connection, email: &Email) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached(BY_EMAIL)?;
    for spelling in Email::spellings(email.as_str()) {
        if statement.exists([spelling.as_str()])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds the account. `false` when its address is taken.
fn add(tx: &Connection, account: &Account) -> rusqlite::Result<bool> {
    if is_taken(tx, &account.email)? {
        return Ok(false);
    }
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
            email: Email::from_stored(row.email),
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
