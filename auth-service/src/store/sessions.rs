//! Stores sessions. Every method that ends a session writes the revocation log and the audit table in the same
//! transaction.

use countermark::{clock::Timestamp, verify::Revocation};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Store, StoreError,
    accounts::{self, AccountChange},
    audit,
    login_tries::{self, Limit},
    minted::{self, MintMark},
    revocations::{self, LogEntry},
};
use crate::domain::{
    account::{AccountId, Role},
    audit::AuditEntry,
    client::ClientId,
    password::PasswordHash,
    session::{Device, Generation, Session, SessionId, SessionSecret},
};

const ADD: &str = "INSERT INTO sessions
    (id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, minted_at)
    SELECT $1, id, $2, $3, $4, $5, $6, $7, $8, $5 FROM accounts
        WHERE id = $9 AND password_hash = $10 AND disabled_at IS NULL
    RETURNING (SELECT roles FROM accounts WHERE accounts.id = account_id)";
pub(super) const BY_ID: &str =
    "SELECT id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, revoked_at
    FROM sessions WHERE id = $1";
const LIVE_OF_ACCOUNT: &str =
    "SELECT id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, revoked_at
    FROM sessions WHERE account_id = $1 AND revoked_at IS NULL ORDER BY created_at, id";
const LIVE_PAGE: &str =
    "SELECT id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, revoked_at
    FROM sessions WHERE account_id = $1 AND revoked_at IS NULL AND (created_at, id) > ($2, $3)
    ORDER BY created_at, id LIMIT $4";
const ROTATE: &str =
    "UPDATE sessions SET generation = generation + 1, rotated_at = $1, user_agent = $2, address = $3,
        minted_at = MAX(minted_at, $1)
    WHERE id = $4 AND generation = $5 AND revoked_at IS NULL";
const REPEAT: &str = "UPDATE sessions SET minted_at = MAX(minted_at, $1) WHERE id = $2";
const REVOKE: &str =
    "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING minted_at";
const FORGET_OVER: &str = "DELETE FROM sessions WHERE created_at <= $1 OR rotated_at <= $2";

/// A session that begins.
#[derive(Debug)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// The password hash that the login was checked against.
    pub checked: PasswordHash,
    /// The hash that replaces it, if any.
    pub rehashed: Option<PasswordHash>,
    /// The limit that the try of the login is given back to, if any.
    pub refund: Option<Limit>,
    /// The mint watermark to raise, if any.
    pub mark: Option<MintMark>,
    /// The audit entry of the login.
    pub why: AuditEntry,
}

/// A session has begun.
#[derive(Debug)]
pub struct Begun {
    /// The roles of the account, read in the same transaction.
    pub roles: Vec<Role>,
    /// Whether the mint watermark is stored.
    pub is_marked: Marked,
}

/// Whether the mint watermark is stored: it was raised, or there was none to raise. `false` when its key is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked(pub bool);

/// A refresh token that is spent.
#[derive(Debug)]
pub struct Spent {
    /// Its session.
    pub id: SessionId,
    /// Its generation.
    pub generation: Generation,
    /// The instant.
    pub now: Timestamp,
    /// The device that showed it.
    pub device: Device,
}

impl Store {
    /// Adds a session, gives the try of its login back, raises the mint watermark, and audits the login, all in one
    /// transaction. `None` when the account is disabled or deleted, or has another password hash than the checked one.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn begin_session(&self, new: NewSession) -> Result<Option<Begun>, StoreError> {
        self.database
            .write(move |tx| {
                let Some(roles) = add(tx, &new.session, &new.checked)? else { return Ok(None) };
                if let Some(hash) = new.rehashed {
                    accounts::rehash(tx, new.session.account, &hash)?;
                }
                if let Some(limit) = new.refund {
                    login_tries::refund(tx, limit)?;
                }
                audit::add(tx, &new.why)?;
                Ok(Some(Begun {
                    roles: accounts::to_roles(&roles)?,
                    is_marked: mark(tx, new.mark.as_ref())?,
                }))
            })
            .await
    }

    /// The session with this id. An ended session is returned, too.
    pub fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.database.read(|connection| {
            Ok(connection.prepare_cached(BY_ID)?.query_row([id.as_bytes()], read).optional()?)
        })
    }

    /// The sessions of an account that nobody ended, oldest first. Sessions past their lifetime may be among them.
    pub fn sessions_of(&self, account: AccountId) -> Result<Vec<Session>, StoreError> {
        self.database.read(|connection| Ok(sessions_of(connection, account)?))
    }

    /// At most `limit` of those sessions, after the one that `after` is.
    pub fn sessions_after(
        &self,
        account: AccountId,
        after: Option<&Session>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let (created_at, id) = after.map_or((i64::MIN, None), |session| {
            (session.created_at.unix_millis(), Some(*session.id.as_bytes()))
        });
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(LIVE_PAGE)?;
            let id = id.unwrap_or_default();
            let rows = statement.query_map(params![account.as_bytes(), created_at, id, limit], read)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Spends a refresh token by one compare-and-set, and raises the mint watermark. Of several requests in several
    /// processes, one wins. `None` when the token was spent before, or when the session has ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. The token is not spent then.
    pub async fn rotate_session(
        &self,
        spent: Spent,
        watermark: Option<MintMark>,
    ) -> Result<Option<Marked>, StoreError> {
        self.database
            .write(move |tx| {
                let rotated = tx.prepare_cached(ROTATE)?.execute(params![
                    spent.now.unix_millis(),
                    spent.device.user_agent,
                    spent.device.address,
                    spent.id.as_bytes(),
                    spent.generation.get(),
                ])?;
                if rotated == 1 { Ok(Some(mark(tx, watermark.as_ref())?)) } else { Ok(None) }
            })
            .await
    }

    /// Stores that a retry got the same successor again, raises the mint watermark, and audits `why`.
    pub async fn repeat_rotation(
        &self,
        id: SessionId,
        now: Timestamp,
        watermark: Option<MintMark>,
        why: AuditEntry,
    ) -> Result<Marked, StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(REPEAT)?.execute(params![now.unix_millis(), id.as_bytes()])?;
                audit::add(tx, &why)?;
                Ok(mark(tx, watermark.as_ref())?)
            })
            .await
    }

    /// Ends a session, appends its revocation to the log, and audits `why`. `None` when the session had ended before.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. The session goes on then.
    pub async fn end_session(
        &self,
        id: SessionId,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Option<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                let ended = end(tx, id, now)?;
                if ended.is_some() {
                    audit::add(tx, &why)?;
                }
                Ok(ended)
            })
            .await
    }

    /// Changes an account, ends its sessions except `spared`, and audits `why` once. Returns the log entries of the ended
    /// sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn end_sessions_of(
        &self,
        account: AccountId,
        spared: Option<SessionId>,
        change: Option<AccountChange>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                audit::add(tx, &why)?;
                // In this order: a deleted account takes its sessions with it.
                let ended = end_all(tx, account, spared, now)?;
                if let Some(change) = change {
                    accounts::change(tx, account, &change, now)?;
                }
                Ok(ended)
            })
            .await
    }

    /// Deletes the sessions that were created up to `created` or last refreshed up to `rotated`: their lifetime is
    /// over. Returns how many.
    pub async fn forget_sessions(&self, created: Timestamp, rotated: Timestamp) -> Result<usize, StoreError> {
        let (created, rotated) = (created.unix_millis(), rotated.unix_millis());
        self.database.write(move |tx| Ok(tx.execute(FORGET_OVER, [created, rotated])?)).await
    }
}

/// Adds a session, if its account is enabled and has that password hash. Returns the stored roles then.
fn add(tx: &Connection, session: &Session, checked: &PasswordHash) -> rusqlite::Result<Option<String>> {
    let row = params![
        session.id.as_bytes(),
        session.client.as_str(),
        session.secret.as_bytes(),
        session.generation.get(),
        session.created_at.unix_millis(),
        session.rotated_at.unix_millis(),
        session.device.user_agent,
        session.device.address,
        session.account.as_bytes(),
        checked.as_str(),
    ];
    tx.prepare_cached(ADD)?.query_row(row, |row| row.get(0)).optional()
}

fn mark(tx: &Connection, watermark: Option<&MintMark>) -> rusqlite::Result<Marked> {
    watermark.map_or(Ok(true), |mark| minted::raise(tx, mark)).map(Marked)
}

/// Ends the sessions of an account except `spared`, in the caller's transaction.
pub(super) fn end_all(
    tx: &Connection,
    account: AccountId,
    spared: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<LogEntry>, StoreError> {
    let sessions = sessions_of(tx, account)?;
    let ending = sessions.iter().map(|session| session.id).filter(|&id| Some(id) != spared);
    ending.filter_map(|id| end(tx, id, now).transpose()).collect()
}

fn end(tx: &Connection, id: SessionId, now: Timestamp) -> Result<Option<LogEntry>, StoreError> {
    let row = params![now.unix_millis(), id.as_bytes()];
    let minted_at = tx.prepare_cached(REVOKE)?.query_row(row, |row| row.get(0)).optional()?;
    let Some(minted_at) = minted_at.map(Timestamp::from_unix_millis) else { return Ok(None) };
    let sid = id.to_string().parse().map_err(|_| StoreError::Damaged("a session's id"))?;
    // After the clock was set back, tokens of the session lie in the future. The entry is kept until they expire.
    revocations::append(tx, Revocation::Session(sid), now.max(minted_at)).map(Some)
}

fn sessions_of(connection: &Connection, account: AccountId) -> rusqlite::Result<Vec<Session>> {
    let mut statement = connection.prepare_cached(LIVE_OF_ACCOUNT)?;
    let rows = statement.query_map([account.as_bytes()], read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: SessionId::from_bytes(row.get(0)?),
        account: AccountId::from_bytes(row.get(1)?),
        client: ClientId::from_stored(row.get(2)?),
        secret: SessionSecret::from_bytes(row.get(3)?),
        generation: Generation::new(row.get(4)?),
        created_at: Timestamp::from_unix_millis(row.get(5)?),
        rotated_at: Timestamp::from_unix_millis(row.get(6)?),
        device: Device { user_agent: row.get(7)?, address: row.get(8)? },
        revoked_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_unix_millis),
    })
}
