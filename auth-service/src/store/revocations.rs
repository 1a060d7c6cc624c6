//! The revocation log.
//!
//! Every entry has a sequence number. The transaction of the revocation assigns it. So the log holds every revocation
//! that was answered, and the numbers follow the order of the commits.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    verify::{Entry, LogId, NumericDate, Opaque, Position, Revocation, Seq, Tag},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{SWEPT_AT_ONCE, Store, StoreError, audit, column::tag, minted};
use crate::domain::{
    audit::AuditEntry,
    log_tag::{TaggedEntry, tag_after},
    went_back::WentBack,
};

const OPEN: &str =
    "INSERT INTO revocation_log (only_row, log_id, head, longest_ttl, tag) VALUES (1, $1, 0, $2, $1)
    ON CONFLICT (only_row) DO UPDATE SET longest_ttl = MAX(longest_ttl, excluded.longest_ttl)";
// The database draws the random bytes: then the tag needs no argument in each transaction that revokes something.
const NEXT: &str = "SELECT head + 1, longest_ttl, tag, randomblob(8) FROM revocation_log WHERE only_row = 1";
const ADVANCE: &str = "UPDATE revocation_log SET head = $1, tag = $2 WHERE only_row = 1";
const ADD: &str = "INSERT INTO revocations (seq, kind, subject, before_at, expires_at, random, tag)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const LONGEST: &str = "SELECT longest_ttl FROM revocation_log WHERE only_row = 1";
const HEAD: &str =
    "SELECT log_id, head, tag, went_back, went_back_log FROM revocation_log WHERE only_row = 1";
const BEGINS_AT: &str = "SELECT begins_at FROM revocation_log WHERE only_row = 1";
// Where the log begins, its id is the tag, and not that of the entry, which belongs to the log before it.
const TAG: &str = "SELECT log_id FROM revocation_log WHERE begins_at = $1
    UNION ALL SELECT tag FROM revocations WHERE seq = $1
    UNION ALL SELECT tag FROM swept_tags WHERE seq = $1
    UNION ALL SELECT tag FROM revocation_log WHERE head = $1";
const AFTER: &str = "SELECT seq, kind, subject, before_at, expires_at, tag FROM revocations WHERE seq > $1 ORDER BY seq LIMIT $2";
const BETWEEN: &str =
    "SELECT seq, kind, subject, before_at, expires_at, tag FROM revocations WHERE seq > $1 AND seq <= $2
    ORDER BY seq LIMIT $3";
const EXPIRED: &str = "SELECT seq FROM revocations WHERE expires_at <= $1 LIMIT $2";
const KEEP_TAG: &str = "INSERT OR REPLACE INTO swept_tags (seq, random, tag, swept_at)
    SELECT seq, random, tag, $1 FROM revocations WHERE seq = $2 AND tag IS NOT NULL";
const FORGET: &str = "DELETE FROM revocations WHERE seq = $1";
const FORGET_TAGS: &str =
    "DELETE FROM swept_tags WHERE seq IN (SELECT seq FROM swept_tags WHERE swept_at <= $1 LIMIT $2)";
const GIVE_UP: &str = "INSERT OR REPLACE INTO former_logs (log_id, head, tag, ended_at)
    SELECT COALESCE($1, log_id), head, tag, $2 FROM revocation_log WHERE only_row = 1";
const BEGIN_ANEW: &str = "UPDATE revocation_log
    SET log_id = $1, tag = $1, begins_at = head, went_back = NULL, went_back_log = NULL WHERE only_row = 1";
const RECOVERED_AT: &str = "SELECT MAX(ended_at) FROM former_logs";
const IS_FORMER: &str = "SELECT EXISTS (SELECT 1 FROM former_logs WHERE log_id = $1)";

/// An entry is kept this much longer than the last token that it revokes, because clocks differ.
const MARGIN: Duration = Duration::from_mins(1);

/// Added before truncation to whole seconds, so that a time is rounded up.
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

/// Maximum number of entries that one call reads.
const PORTION: u16 = 10_000;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The sequence number.
    pub seq: Seq,
    /// The revocation.
    pub revocation: Revocation,
    /// The instant after which no valid token can match the entry. `None`: the entry never expires.
    pub expires_at: Option<Timestamp>,
    /// The tag of the entry. [`Tag::UNKNOWN`] for an entry from before there were tags.
    pub tag: Tag,
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
        self.write(move |tx| Ok(tx.execute(OPEN, params![log_id.bytes(), seconds]).map(drop)?)).await
    }

    /// The longest time for which an entry can match a valid token.
    pub fn longest_match(&self) -> Result<Duration, StoreError> {
        self.database.read(|connection| {
            let longest = connection.prepare_cached(LONGEST)?.query_row([], |row| row.get(0));
            Ok(longest.optional()?.map_or(MARGIN, matches_for))
        })
    }

    /// The position of the newest entry. Takes over the evidence that is stored beside it.
    pub fn log_head(&self) -> Result<Position, StoreError> {
        let found = self.database.read(|connection| {
            let found = connection.prepare_cached(HEAD)?.query_row([], head).optional()?;
            Ok::<_, StoreError>(found.unwrap_or_default())
        });
        let (position, went_back) = found?;
        self.evidence.read(position.log_id, went_back);
        Ok(position)
    }

    /// The number at which the log begins. Entries up to it are of the logs before.
    pub fn log_beginning(&self) -> Result<Seq, StoreError> {
        self.database.read(|connection| {
            let found = connection.prepare_cached(BEGINS_AT)?.query_row([], |row| Ok(seq(row.get(0)?)));
            Ok(found.optional()?.unwrap_or_default())
        })
    }

    /// The tag of the log at `seq`, also when the entry was swept. [`Tag::UNKNOWN`] when the log has no such number, or the
    /// number is from before there were tags.
    pub fn log_tag(&self, seq: Seq) -> Result<Tag, StoreError> {
        self.database.read(|connection| Ok(tag_at(connection, seq)?))
    }

    /// Whether that log was given up for the present one, or for one before it.
    pub fn is_former_log(&self, log_id: LogId) -> Result<bool, StoreError> {
        self.database.read(|connection| Ok(is_former(connection, log_id)?))
    }

    /// The instant of the last recovery.
    pub fn recovered_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.database.read(|connection| {
            let at: Option<i64> = connection.prepare_cached(RECOVERED_AT)?.query_row([], |row| row.get(0))?;
            Ok(at.map(Timestamp::from_unix_millis))
        })
    }

    /// The entries after `seq`, in order, at most 10,000 of them.
    pub fn log_after(&self, seq: Seq) -> Result<Vec<LogEntry>, StoreError> {
        self.database.read(|connection| entries(connection, seq))
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
        self.write(move |tx| {
            audit::add(tx, &why)?;
            append(tx, revocation, now)
        })
        .await
    }

    /// Deletes expired entries, at most [`SWEPT_AT_ONCE`] of them. Returns how many. Their tags stay.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| {
            let row = params![now.unix_millis(), SWEPT_AT_ONCE];
            let mut expired = tx.prepare_cached(EXPIRED)?;
            let expired: Vec<i64> = expired.query_map(row, |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut keep_tag = tx.prepare_cached(KEEP_TAG)?;
            let mut forget = tx.prepare_cached(FORGET)?;
            for seq in &expired {
                keep_tag.execute(params![now.unix_millis(), seq])?;
                forget.execute([seq])?;
            }
            Ok(expired.len())
        })
        .await
    }

    /// Deletes tags of entries that were swept at `until` or before, at most [`SWEPT_AT_ONCE`] of them. Returns how many.
    pub async fn forget_tags(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute(FORGET_TAGS, params![until.unix_millis(), SWEPT_AT_ONCE])?)).await
    }
}

/// Appends an entry in the transaction of the revocation. If the revocation has an instant, the instant is raised to
/// the mint watermark, so that the entry matches every token minted so far.
pub(super) fn append(
    tx: &Connection,
    revocation: Revocation,
    now: Timestamp,
) -> Result<LogEntry, StoreError> {
    let next = |row: &Row<'_>| Ok((seq(row.get(0)?), row.get(1)?, tag(row, 2)?, row.get(3)?));
    let (seq, longest_ttl, previous, random): (Seq, i64, Tag, [u8; 8]) =
        tx.prepare_cached(NEXT)?.query_row([], next)?;
    let revocation = of_all_minted(revocation, minted::up_to(tx)?);
    let (kind, subject, before_at) = to_columns(&revocation);
    // If the clock was ahead, its tokens are valid until later, so the entry is kept for longer.
    let until = before_at.map_or(now, |at| now.max(Timestamp::from_unix_seconds(at)));
    let expires_at = match &revocation {
        // A revoked key never signs again.
        Revocation::Key(_) => None,
        _ => Some(until.after(matches_for(longest_ttl))),
    };
    let expires_at_millis = expires_at.map(Timestamp::unix_millis);
    let entry = TaggedEntry { seq, kind, subject, before_at, expires_at: expires_at_millis };
    let tag = tag_after(previous, random, &entry);
    let row = params![stored(seq), kind, subject, before_at, expires_at_millis, random, tag.bytes()];
    tx.prepare_cached(ADD)?.execute(row)?;
    tx.prepare_cached(ADVANCE)?.execute(params![stored(seq), tag.bytes()])?;
    Ok(LogEntry { seq, revocation, expires_at, tag })
}

/// Whether a token that was minted at `minted_at` may still be valid.
pub(super) fn may_match(tx: &Connection, minted_at: Timestamp, now: Timestamp) -> rusqlite::Result<bool> {
    let longest = tx.prepare_cached(LONGEST)?.query_row([], |row| row.get(0))?;
    Ok(minted_at.after(matches_for(longest)) > now)
}

/// The position of the newest entry. `None` before there is a log.
pub(super) fn position(connection: &Connection) -> Result<Option<Position>, StoreError> {
    Ok(connection.prepare_cached(HEAD)?.query_row([], head).optional()?.map(|(position, _)| position))
}

pub(super) fn tag_at(connection: &Connection, seq: Seq) -> rusqlite::Result<Tag> {
    let found = connection.prepare_cached(TAG)?.query_row([stored(seq)], |row| tag(row, 0));
    Ok(found.optional()?.unwrap_or_default())
}

pub(super) fn is_former(connection: &Connection, log_id: LogId) -> rusqlite::Result<bool> {
    connection.prepare_cached(IS_FORMER)?.query_row([log_id.bytes()], |row| row.get(0))
}

/// Gives the log up for a new one, `log_id`, that begins at the present head. Entries stay in force. `others` are logs that
/// are given up, too.
pub(super) fn begin_anew(
    tx: &Connection,
    log_id: LogId,
    others: &[LogId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (_, went_back) = tx.query_row(HEAD, [], head)?;
    let evident = went_back.and_then(|found| found.log_id);
    tx.execute(GIVE_UP, params![Option::<[u8; 16]>::None, now.unix_millis()])?;
    for other in others.iter().chain(&evident) {
        tx.execute(GIVE_UP, params![other.bytes(), now.unix_millis()])?;
    }
    tx.execute(BEGIN_ANEW, [log_id.bytes()])?;
    Ok(())
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

fn entries(connection: &Connection, from: Seq) -> Result<Vec<LogEntry>, StoreError> {
    let mut statement = connection.prepare_cached(AFTER)?;
    let rows = statement.query_map(params![stored(from), PORTION], columns)?;
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

fn head(row: &Row<'_>) -> rusqlite::Result<(Position, Option<WentBack>)> {
    let position = Position { log_id: LogId::new(row.get(0)?), seq: seq(row.get(1)?), tag: tag(row, 2)? };
    let log_id = row.get::<_, Option<_>>(4)?.map(LogId::new);
    let went_back = row.get::<_, Option<String>>(3)?.map(|reason| WentBack { reason, log_id });
    Ok((position, went_back))
}

type Columns = (Seq, String, String, Option<i64>, Option<i64>, Tag);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((seq(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, tag(row, 5)?))
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

fn from_columns((seq, kind, subject, before_at, expires_at, tag): Columns) -> Result<LogEntry, StoreError> {
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
    Ok(LogEntry { seq, revocation, expires_at: expires_at.map(Timestamp::from_unix_millis), tag })
}
