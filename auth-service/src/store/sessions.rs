//! Stores sessions. Every method that ends a session writes the revocation log and the audit table in the same
//! transaction.

use countermark::{clock::Timestamp, verify::Revocation};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::{
    Store, StoreError, accounts, audit,
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
    session_place::SessionPlace,
};

/// Whether a session began in a present epoch: its account's sessions, or all, may have been ended at once.
macro_rules! is_of_present_epoch {
    () => {
        "epoch >= (SELECT sessions_end_before FROM accounts WHERE accounts.id = sessions.account_id)
            AND epoch >= (SELECT end_before FROM session_epochs)"
    };
}

/// The columns of a session. One that ended together with others has no instant of its own in its row.
macro_rules! columns {
    () => {
        "SELECT s.id, s.account_id, s.client_id, s.secret, s.generation, s.created_at, s.rotated_at, s.user_agent,
            s.address,
            CASE WHEN s.revoked_at IS NOT NULL THEN s.revoked_at
                WHEN s.epoch < a.sessions_end_before THEN a.sessions_ended_at
                WHEN s.epoch < e.end_before THEN e.ended_at END,
            CASE WHEN s.revoked_at IS NOT NULL THEN s.ended_seq
                WHEN s.epoch < a.sessions_end_before THEN a.sessions_ended_seq
                WHEN s.epoch < e.end_before THEN e.ended_seq END
        "
    };
}

/// The sessions of the account `$1` that go on. The order of the tables lets the index skip former epochs.
macro_rules! live_of_account {
    () => {
        "FROM accounts a CROSS JOIN session_epochs e CROSS JOIN sessions s
        WHERE a.id = $1 AND s.account_id = a.id AND s.revoked_at IS NULL
            AND s.epoch >= MAX(a.sessions_end_before, e.end_before)
        "
    };
}

const ADD: &str = "INSERT INTO sessions
    (id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address, minted_at, epoch)
    SELECT $1, id, $2, $3, $4, $5, $6, $7, $8, $5, (SELECT epoch FROM session_epochs) FROM accounts
        WHERE id = $9 AND password_hash = $10 AND disabled_at IS NULL
    RETURNING (SELECT roles FROM accounts WHERE accounts.id = account_id)";
pub(super) const BY_ID: &str = concat!(
    columns!(),
    "FROM sessions s JOIN accounts a ON a.id = s.account_id CROSS JOIN session_epochs e WHERE s.id = $1"
);
const PAGE: &str = concat!(
    columns!(),
    ", s.epoch ",
    live_of_account!(),
    "AND (s.epoch, s.created_at, s.id) > ($2, $3, $4) ORDER BY s.epoch, s.created_at, s.id LIMIT $5"
);
const LIVE_OF_ACCOUNT: &str = concat!("SELECT s.id ", live_of_account!());
const LONGEST_UNUSED: &str = concat!(
    "SELECT s.id ",
    live_of_account!(),
    "AND s.id <> $2 AND s.created_at > $3 AND s.rotated_at > $4 ORDER BY s.rotated_at DESC, s.id LIMIT $5 OFFSET $6"
);
const ROTATE: &str = concat!(
    "UPDATE sessions SET generation = generation + 1, rotated_at = $1, user_agent = $2, address = $3,
        minted_at = MAX(minted_at, $1), repeats = 0, repeats_audited = NULL
    WHERE id = $4 AND generation = $5 AND revoked_at IS NULL AND ",
    is_of_present_epoch!()
);
const REPEAT: &str = concat!(
    "UPDATE sessions SET minted_at = MAX(minted_at, $1), repeats = repeats + 1
    WHERE id = $2 AND generation = $3 AND revoked_at IS NULL AND ",
    is_of_present_epoch!(),
    " RETURNING repeats, repeats_audited"
);
const REPEATS_AUDITED: &str = "UPDATE sessions SET repeats_audited = $1 WHERE id = $2";
const REVOKE: &str = concat!(
    "UPDATE sessions SET revoked_at = $1, ended_seq = (SELECT head + 1 FROM revocation_log)
    WHERE id = $2 AND revoked_at IS NULL AND ",
    is_of_present_epoch!(),
    " RETURNING minted_at"
);

/// The most sessions that one login ends, when there are more than the account may have.
const MOST_DISPLACED: u32 = 100;

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
    /// The room that the account has for it, if that is limited.
    pub room: Option<Room>,
    /// The audit entry of the login.
    pub why: AuditEntry,
}

/// How many sessions an account may have.
#[derive(Debug)]
pub struct Room {
    /// The most, at least 1.
    pub most: u32,
    /// A session that was created up to here has reached the end of its lifetime, and counts no more.
    pub created: Timestamp,
    /// A session that was last refreshed up to here was idle for too long, and counts no more.
    pub rotated: Timestamp,
    /// The audit entry of a session that is ended to make room. It names no session yet.
    pub why: AuditEntry,
}

/// A session has begun.
#[derive(Debug)]
pub struct Begun {
    /// The log entries of the sessions that were ended to make room.
    pub displaced: Vec<LogEntry>,
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
    /// Adds a session, ends the longest unused ones of the account if it has too many, gives the try of its login back,
    /// raises the mint watermark, and audits the login, all in one transaction. `None` when the account is disabled or deleted, or has another password hash than the checked one.
    pub async fn begin_session(&self, new: NewSession) -> Result<Option<Begun>, StoreError> {
        self.write(move |tx| {
            let Some(roles) = add(tx, &new.session, &new.checked)? else { return Ok(None) };
            if let Some(hash) = new.rehashed {
                accounts::rehash(tx, new.session.account, &hash)?;
            }
            if let Some(limit) = new.refund {
                login_tries::refund(tx, limit)?;
            }
            audit::add(tx, &new.why)?;
            let displaced = new.room.map_or(Ok(Vec::new()), |room| make_room(tx, &new.session, room))?;
            let is_marked = mark(tx, new.mark.as_ref())?;
            Ok(Some(Begun { displaced, roles: accounts::to_roles(&roles)?, is_marked }))
        })
        .await
    }

    /// The session with this id. An ended session is returned, too.
    pub fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.database.read(|connection| {
            Ok(connection.prepare_cached(BY_ID)?.query_row([id.as_bytes()], read).optional()?)
        })
    }

    /// At most `limit` sessions of an account that nobody ended, oldest first, after the session `after`. Sessions past
    /// their lifetime may be among them. The place of the last one comes with them.
    pub fn sessions_after(
        &self,
        account: AccountId,
        after: Option<SessionPlace>,
        limit: u32,
    ) -> Result<(Vec<Session>, Option<SessionPlace>), StoreError> {
        let (epoch, created_at, id) = after.as_ref().map_or((-1, 0, &[][..]), |place| {
            (place.epoch, place.created_at.unix_millis(), &place.id.as_bytes()[..])
        });
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(PAGE)?;
            let row = params![account.as_bytes(), epoch, created_at, id, limit];
            let found = statement.query_map(row, |row| Ok((read(row)?, row.get(11)?)))?;
            let found: Vec<(Session, i64)> = found.collect::<Result<_, _>>()?;
            let place = |(session, epoch): &(Session, i64)| SessionPlace {
                epoch: *epoch,
                created_at: session.created_at,
                id: session.id,
            };
            let last = found.last().map(place);
            Ok((found.into_iter().map(|(session, _)| session).collect(), last))
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
        self.write(move |tx| {
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

    /// Stores that a retry gets the successor of generation `live` again, raises the mint watermark, and audits `why`: in one
    /// entry of that generation, which counts. `None` when the successor was spent meanwhile, or when the session has ended.
    pub async fn repeat_rotation(
        &self,
        id: SessionId,
        live: Generation,
        now: Timestamp,
        watermark: Option<MintMark>,
        why: AuditEntry,
    ) -> Result<Option<Marked>, StoreError> {
        self.write(move |tx| {
            let row = params![now.unix_millis(), id.as_bytes(), live.get()];
            let counted = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let repeated = tx.prepare_cached(REPEAT)?.query_row(row, counted).optional()?;
            let Some((times, audited)): Option<(u32, Option<i64>)> = repeated else { return Ok(None) };
            let entry = audit::count(tx, audited, times, &why)?;
            if audited != Some(entry) {
                tx.prepare_cached(REPEATS_AUDITED)?.execute(params![entry, id.as_bytes()])?;
            }
            Ok(Some(mark(tx, watermark.as_ref())?))
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
        self.write(move |tx| {
            let ended = end(tx, id, now)?;
            if ended.is_some() {
                audit::add(tx, &why)?;
            }
            Ok(ended)
        })
        .await
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

/// Ends the longest unused sessions of an account that has more than it may have. `newest` stays.
fn make_room(tx: &Connection, newest: &Session, room: Room) -> Result<Vec<LogEntry>, StoreError> {
    let Room { most, created, rotated, mut why } = room;
    let now = newest.created_at;
    let row = params![
        newest.account.as_bytes(),
        newest.id.as_bytes(),
        created.unix_millis(),
        rotated.unix_millis(),
        MOST_DISPLACED,
        most.saturating_sub(1),
    ];
    let mut entries = Vec::new();
    for id in ids(tx, LONGEST_UNUSED, row)? {
        if let Some(entry) = end(tx, id, now)? {
            why.session = Some(id);
            audit::add(tx, &why)?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Ends the sessions of an account one by one, except `spared`, in the caller's transaction.
pub(super) fn end_each(
    tx: &Connection,
    account: AccountId,
    spared: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<LogEntry>, StoreError> {
    let live = ids(tx, LIVE_OF_ACCOUNT, params![account.as_bytes()])?;
    let ending = live.into_iter().filter(|&id| Some(id) != spared);
    ending.filter_map(|id| end(tx, id, now).transpose()).collect()
}

/// Ends a session. `None` when it had ended before.
pub(super) fn end(tx: &Connection, id: SessionId, now: Timestamp) -> Result<Option<LogEntry>, StoreError> {
    let Some(minted_at) = revoke(tx, id, now)? else { return Ok(None) };
    // After the clock was set back, tokens of the session lie in the future. The entry is kept until they expire.
    append(tx, id, now.max(minted_at)).map(Some)
}

/// Appends the entry of a session that has ended.
pub(super) fn append(tx: &Connection, id: SessionId, now: Timestamp) -> Result<LogEntry, StoreError> {
    let sid = id.to_string().parse().map_err(|_| StoreError::Damaged("a session's id"))?;
    revocations::append(tx, Revocation::Session(sid), now)
}

/// Marks a session as ended by the next entry, which the caller appends. Returns when its last token was minted; `None` when it had ended before.
pub(super) fn revoke(tx: &Connection, id: SessionId, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    let row = params![now.unix_millis(), id.as_bytes()];
    let minted_at = tx.prepare_cached(REVOKE)?.query_row(row, |row| row.get(0)).optional()?;
    Ok(minted_at.map(Timestamp::from_unix_millis))
}

fn ids(tx: &Connection, statement: &str, row: impl Params) -> rusqlite::Result<Vec<SessionId>> {
    let mut statement = tx.prepare_cached(statement)?;
    let rows = statement.query_map(row, |row| row.get(0).map(SessionId::from_bytes))?;
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
        ended_by: row.get::<_, Option<i64>>(10)?.map(revocations::seq),
    })
}
