//! The revocation log.
//!
//! Every entry has a sequence number. The transaction of the revocation assigns it. So the log holds every revocation
//! that was answered, and the numbers follow the order of the commits.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    verify::{Entry, LogId, NumericDate, Opaque, Position, Revocation, Seq},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Store, StoreError, audit, minted};
use crate::domain::audit::AuditEntry;

const OPEN: &str = "INSERT INTO revocation_log (only_row, log_id, head, longest_ttl) VALUES (1, $1, 0, $2)
    ON CONFLICT (only_row) DO UPDATE SET longest_ttl = MAX(longest_ttl, excluded.longest_ttl)";
const ADVANCE: &str =
    "UPDATE revocation_log SET head = head + 1 WHERE only_row = 1 RETURNING head, longest_ttl";
const ADD: &str =
    "INSERT INTO revocations (seq, kind, subject, before_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
const LONGEST: &str = "SELECT longest_ttl FROM revocation_log WHERE only_row = 1";
const HEAD: &str = "SELECT log_id, head FROM revocation_log WHERE only_row = 1";
const AFTER: &str =
    "SELECT seq, kind, subject, before_at, expires_at FROM revocations WHERE seq > $1 ORDER BY seq LIMIT $2";
const BETWEEN: &str = "SELECT seq, kind, subject, before_at, expires_at FROM revocations WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
const EXPIRED: &str =
    "SELECT seq, kind, subject, before_at, expires_at FROM revocations WHERE expires_at <= $1 LIMIT $2";
const FORGET: &str = "DELETE FROM revocations WHERE seq = $1";

/// An entry is kept this much longer than the last token that it revokes, because clocks differ.
const MARGIN: Duration = Duration::from_mins(1);

/// Added before truncation to whole seconds, so that a time is rounded up.
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

/// Maximum number of entries that one transaction reads or deletes.
const PORTION: i64 = 10_000;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The sequence number.
    pub seq: Seq,
    /// The revocation.
    pub revocation: Revocation,
    /// The instant after which no valid token can match the entry. `None`: the entry never expires.
    pub expires_at: Option<Timestamp>,
}

impl LogEntry {
    /// The entry in the form that verifiers hold. Its expiry is rounded up to whole seconds, so that no verifier
    /// forgets it too early.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let whole = |at: Timestamp| NumericDate::from_unix_seconds(at.after(ALMOST_A_SECOND).unix_seconds());
        Entry { revocation: self.revocation.clone(), expires_at: self.expires_at.map(whole) }
    }
}

impl Store {
    /// Creates the log when there is none. Raises the stored longest lifetime of access tokens to `longest_ttl`, if
    /// that is longer.
    pub async fn open_log(&self, log_id: LogId, longest_ttl: Duration) -> Result<(), StoreError> {
        let seconds = i64::try_from(longest_ttl.as_secs()).unwrap_or(i64::MAX);
        self.database.write(move |tx| Ok(tx.execute(OPEN, params![log_id.bytes(), seconds]).map(drop)?)).await
    }

    /// The longest time for which an entry can match a valid token.
    pub fn longest_match(&self) -> Result<Duration, StoreError> {
        self.database.read(|connection| {
            let longest = connection.prepare_cached(LONGEST)?.query_row([], |row| row.get(0));
            Ok(longest.optional()?.map_or(MARGIN, matches_for))
        })
    }

    /// The position after the newest entry.
    pub fn log_head(&self) -> Result<Position, StoreError> {
        self.database.read(|connection| {
            let position =
                |row: &Row<'_>| Ok(Position { log_id: LogId::new(row.get(0)?), seq: seq(row.get(1)?) });
            let head = connection.prepare_cached(HEAD)?.query_row([], position).optional()?;
            Ok(head.unwrap_or_default())
        })
    }

    /// The entries after `seq`, in order, at most 10,000 of them.
    pub fn log_after(&self, seq: Seq) -> Result<Vec<LogEntry>, StoreError> {
        self.database.read(|connection| entries(connection, AFTER, stored(seq)))
    }

    /// The entries after `seq` up to `last`, in order, at most `limit` of them.
    pub fn log_between(&self, seq: Seq, last: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(BETWEEN)?;
            let rows = statement.query_map(params![stored(seq), stored(last), limit], columns)?;
            rows.map(|row| from_columns(row?)).collect()
        })
    }

    /// Appends a revocation to the log, and audits `why`.
    pub async fn revoke(
        &self,
        revocation: Revocation,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<LogEntry, StoreError> {
        self.database
            .write(move |tx| {
                audit::add(tx, &why)?;
                append(tx, revocation, now)
            })
            .await
    }

    /// Deletes expired entries, at most 10,000 of them. Returns the deleted entries.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<Vec<LogEntry>, StoreError> {
        self.database
            .write(move |tx| {
                let expired = entries(tx, EXPIRED, now.unix_millis())?;
                let mut forget = tx.prepare_cached(FORGET)?;
                for entry in &expired {
                    forget.execute([stored(entry.seq)])?;
                }
                Ok(expired)
            })
            .await
    }
}

/// Appends an entry in the transaction of the revocation. If the revocation has an instant, the instant is raised to
/// the mint watermark, so that the entry matches every token minted so far.
pub(super) fn append(
    tx: &Connection,
    revocation: Revocation,
    now: Timestamp,
) -> Result<LogEntry, StoreError> {
    let (seq, longest_ttl): (Seq, i64) =
        tx.prepare_cached(ADVANCE)?.query_row([], |row| Ok((seq(row.get(0)?), row.get(1)?)))?;
    let revocation = of_all_minted(revocation, minted::up_to(tx)?);
    let (kind, subject, before_at) = to_columns(&revocation);
    // If the clock was ahead, its tokens are valid until later, so the entry is kept for longer.
    let until = before_at.map_or(now, |at| now.max(Timestamp::from_unix_seconds(at)));
    let expires_at = match &revocation {
        // A revoked key never signs again.
        Revocation::Key(_) => None,
        _ => Some(until.after(matches_for(longest_ttl))),
    };
    let row = params![stored(seq), kind, subject, before_at, expires_at.map(Timestamp::unix_millis)];
    tx.prepare_cached(ADD)?.execute(row)?;
    Ok(LogEntry { seq, revocation, expires_at })
}

fn of_all_minted(revocation: Revocation, up_to: NumericDate) -> Revocation {
    match revocation {
        Revocation::Client(client, at) => Revocation::Client(client, at.max(up_to)),
        Revocation::Account(account, at) => Revocation::Account(account, at.max(up_to)),
        Revocation::Everything(at) => Revocation::Everything(at.max(up_to)),
        Revocation::Token(_) | Revocation::Session(_) | Revocation::Key(_) => revocation,
    }
}

fn matches_for(longest_ttl: i64) -> Duration {
    Duration::from_secs(longest_ttl.unsigned_abs()) + MARGIN
}

fn entries(connection: &Connection, statement: &str, from: i64) -> Result<Vec<LogEntry>, StoreError> {
    let mut statement = connection.prepare_cached(statement)?;
    let rows = statement.query_map([from, PORTION], columns)?;
    rows.map(|row| from_columns(row?)).collect()
}

/// The sequence number in that column.
pub(super) fn seq(column: i64) -> Seq {
    Seq::new(column.unsigned_abs())
}

/// The column for that sequence number.
pub(super) fn stored(seq: Seq) -> i64 {
    i64::try_from(seq.number()).unwrap_or(i64::MAX)
}

type Columns = (Seq, String, String, Option<i64>, Option<i64>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((seq(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn to_columns(revocation: &Revocation) -> (&'static str, &str, Option<i64>) {
    match revocation {
        Revocation::Token(jti) => ("token", jti.as_str(), None),
        Revocation::Session(sid) => ("session", sid.as_str(), None),
        Revocation::Client(client, at) => ("client", client.as_str(), Some(at.unix_seconds())),
        Revocation::Account(account, at) => ("account", account.as_str(), Some(at.unix_seconds())),
        Revocation::Key(kid) => ("key", kid.as_str(), None),
        Revocation::Everything(at) => ("everything", "", Some(at.unix_seconds())),
    }
}

fn from_columns((seq, kind, subject, before_at, expires_at): Columns) -> Result<LogEntry, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged("a revocation");
    let opaque = || subject.parse::<Opaque>().map_err(|_| DAMAGED);
    let at = || before_at.map(NumericDate::from_unix_seconds).ok_or(DAMAGED);
    let revocation = match kind.as_str() {
        "token" => Revocation::Token(opaque()?),
        "session" => Revocation::Session(opaque()?),
        "client" => Revocation::Client(opaque()?, at()?),
        "account" => Revocation::Account(opaque()?, at()?),
        "key" => Revocation::Key(subject.parse().map_err(|_| DAMAGED)?),
        "everything" => Revocation::Everything(at()?),
        _ => return Err(DAMAGED),
    };
    Ok(LogEntry { seq, revocation, expires_at: expires_at.map(Timestamp::from_unix_millis) })
}
