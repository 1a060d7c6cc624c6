//! Recovers a database that went back, in one transaction.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    verify::{Kid, LogId, NumericDate, Revocation},
};
use rusqlite::Connection;

use super::{
    Store, StoreError, audit,
    mark::behind,
    minted,
    refresh_keys::SealedRefreshKey,
    revocations::{self, LogEntry},
    signing_keys::NewSigningKey,
};
use crate::domain::{audit::AuditEntry, mark::Mark};

const KIDS: &str = "SELECT kid FROM signing_keys";
const REMOVE_SIGNING_KEYS: &str = "DELETE FROM signing_keys";
const END_SESSIONS: &str = "UPDATE sessions SET revoked_at = $1 WHERE revoked_at IS NULL";

/// The farthest instant ahead of the clock up to which tokens are revoked: half of the 60 s that verifiers tolerate.
const AHEAD: Duration = Duration::from_secs(30);

/// The same without a mark that knows the lost part, so that recoveries can follow each other quickly.
const FARTHEST: Duration = Duration::from_secs(45);

/// So many revocations of all tokens, or of an account's, one after another in the lost part, are allowed for.
const LOST_STEPS: i64 = 10;

const LAST_INSTANT: &str = "SELECT MAX(before_at) FROM revocations";

/// What takes the place of what may be lost.
#[derive(Debug)]
pub struct Recovery {
    /// The id of the new log.
    pub log_id: LogId,
    /// The key that signs from now on.
    pub signing: NewSigningKey,
    /// The only key of refresh tokens from now on.
    pub refresh: SealedRefreshKey,
    /// The mark outside the database, if there is one.
    pub mark: Option<Mark>,
    /// The instant.
    pub now: Timestamp,
    /// The audit entry.
    pub why: AuditEntry,
}

/// What a recovery did.
#[derive(Debug)]
pub struct Recovered {
    /// How many sessions were ended.
    pub sessions: usize,
    /// The signing keys that were revoked.
    pub kids: Vec<Kid>,
    /// The instant up to which all tokens are revoked.
    pub everything_before: NumericDate,
    /// The first entries of the new log.
    pub entries: Vec<LogEntry>,
}

impl Store {
    /// Assumes the worst of what happened after the copy: ends every session, replaces and revokes every key, revokes all
    /// tokens, and begins a new log.
    pub async fn recover(&self, recovery: Recovery) -> Result<Recovered, StoreError> {
        self.database.write(move |tx| recover(tx, &recovery)).await
    }
}

fn recover(tx: &Connection, recovery: &Recovery) -> Result<Recovered, StoreError> {
    let Recovery { now, mark, .. } = recovery;
    let up_to = up_to(tx, mark.as_ref(), *now)?;
    let mut kids = kids(tx)?;
    kids.extend(mark.iter().flat_map(|mark| mark.kids.iter().cloned()));
    kids.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    kids.dedup();
    let others: Vec<_> = mark.iter().map(|mark| mark.position.log_id).collect();
    revocations::begin_anew(tx, recovery.log_id, &others, *now)?;
    let sessions = tx.execute(END_SESSIONS, [now.unix_millis()])?;
    replace_keys(tx, recovery)?;
    let mut entries = vec![revocations::append(tx, Revocation::Everything(up_to), *now)?];
    for kid in &kids {
        entries.push(revocations::append(tx, Revocation::Key(kid.clone()), *now)?);
    }
    audit::add(tx, &recovery.why)?;
    Ok(Recovered { sessions, kids, everything_before: up_to, entries })
}

/// The instant up to which tokens are revoked: now, or the greatest `iat` that a token can have, if that is not far ahead.
///
/// A mark that is ahead of the database knows the keys and the greatest `iat` of the lost part. The tokens of a clock that was
/// farther ahead die with their keys. Without such a mark the log says whether tokens are dated ahead: each revocation up to an
/// instant dates the next ones a second after it. The lost part may have had some more.
fn up_to(tx: &Connection, mark: Option<&Mark>, now: Timestamp) -> Result<NumericDate, StoreError> {
    let seconds = |at: Timestamp| NumericDate::from_unix_seconds(at.unix_seconds());
    let known = minted::up_to(tx)?.max(seconds(now));
    if let Some(mark) = mark
        && behind(tx, mark)?.is_some()
    {
        return Ok(known.max(mark.minted_up_to).min(seconds(now.after(AHEAD))));
    }
    let last: Option<i64> = tx.query_row(LAST_INSTANT, [], |row| row.get(0))?;
    let dated = last.map_or(known, |at| known.max(NumericDate::from_unix_seconds(at)));
    let lost = if dated > seconds(now) {
        dated.unix_seconds().saturating_add(LOST_STEPS)
    } else {
        dated.unix_seconds()
    };
    Ok(NumericDate::from_unix_seconds(lost).min(seconds(now.after(FARTHEST))))
}

fn kids(tx: &Connection) -> Result<Vec<Kid>, StoreError> {
    let mut statement = tx.prepare(KIDS)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|kid| kid?.parse().map_err(|_| StoreError::Damaged("a key's name"))).collect()
}

fn replace_keys(tx: &Connection, recovery: &Recovery) -> Result<(), StoreError> {
    let Recovery { signing, refresh, now, .. } = recovery;
    tx.execute(REMOVE_SIGNING_KEYS, [])?;
    super::signing_keys::add(tx, signing, *now, Some(*now))?;
    Ok(super::refresh_keys::replace_all(tx, refresh, *now)?)
}
