//! Stores sessions. Every method that ends a session writes the revocation log and the audit table in the same
//! transaction.

use countermark::{clock::Timestamp, verify::Revocation};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Store, StoreError, accounts, audit,
    revocations::{self, LogEntry},
};
use crate::domain::{
    account::AccountId,
    audit::AuditEntry,
    client::ClientId,
    password::PasswordHash,
    session::{Device, Generation, Session, SessionId, SessionSecret},
};

const ADD: &str = "INSERT INTO sessions
    (id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, minted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $6)";
const BY_ID: &str =
    "SELECT id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, revoked_at
    FROM sessions WHERE id = $1";
const LIVE_OF_ACCOUNT: &str =
    "SELECT id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, revoked_at
    FROM sessions WHERE account_id = $1 AND revoked_at IS NULL ORDER BY created_at, id";
const ROTATE: &str =
    "UPDATE sessions SET generation = generation + 1, rotated_at = $1, user_agent = $2, address = $3,
        minted_at = MAX(minted_at, $1)
    WHERE id = $4 AND generation = $5 AND revoked_at IS NULL";
const REPEAT: &str = "UPDATE sessions SET minted_at = MAX(minted_at, $1) WHERE id = $2";
const REVOKE: &str =
    "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING minted_at";
const FORGET_OVER: &str = "DELETE FROM sessions WHERE created_at <= $1 OR rotated_at <= $2";

impl Store {
    /// Adds a session, and audits the login. Replaces the password hash if `rehashed` is given.
    ///
    /// `false` when the account is disabled or deleted, or when its password hash is no longer `checked`.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. Nothing is changed then.
    pub async fn add_session(
        &self,
        session: Session,
        checked: PasswordHash,
        rehashed: Option<PasswordHash>,
        login: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                if !accounts::is_still(tx, session.account, &checked)? {
                    return Ok(false);
                }
                if let Some(hash) = rehashed {
                    accounts::rehash(tx, session.account, &hash)?;
                }
                tx.prepare_cached(ADD)?.execute(params![
                    session.id.as_bytes(),
                    session.account.as_bytes(),
                    session.client.as_str(),
                    session.secret.as_bytes(),
                    session.generation,
                    session.created_at.unix_millis(),
                    session.rotated_at.unix_millis(),
                    session.device.user_agent,
                    session.device.address,
                ])?;
                audit::add(tx, &login)?;
                Ok(true)
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

    /// Spends the refresh token of `generation` by one compare-and-set. Of several requests in several processes, one
    /// wins. `false` when the token was spent before, or when the session has ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. The token is not spent then.
    pub async fn rotate_session(
        &self,
        id: SessionId,
        generation: Generation,
        now: Timestamp,
        device: Device,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                let rotated = tx.prepare_cached(ROTATE)?.execute(params![
                    now.unix_millis(),
                    device.user_agent,
                    device.address,
                    id.as_bytes(),
                    generation,
                ])?;
                Ok(rotated == 1)
            })
            .await
    }

    /// Stores that a retry got the same successor again, and audits `why`.
    pub async fn repeat_rotation(
        &self,
        id: SessionId,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<(), StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(REPEAT)?.execute(params![now.unix_millis(), id.as_bytes()])?;
                Ok(audit::add(tx, &why)?)
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

    /// Ends the sessions of an account except `spared`, and audits `why` once.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. All sessions go on then.
    pub async fn end_sessions_of(
        &self,
        account: AccountId,
        spared: Option<SessionId>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                audit::add(tx, &why)?;
                end_all(tx, account, spared, now)
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
        generation: row.get(4)?,
        created_at: Timestamp::from_unix_millis(row.get(5)?),
        rotated_at: Timestamp::from_unix_millis(row.get(6)?),
        device: Device { user_agent: row.get(7)?, address: row.get(8)? },
        revoked_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_unix_millis),
    })
}
