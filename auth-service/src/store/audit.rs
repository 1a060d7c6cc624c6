//! Stores the audit table. Entries are only added. One of something that is repeated has a count, which grows.

use countermark::clock::Timestamp;
use rusqlite::{Connection, Row, ToSql, params};

use super::{SWEPT_AT_ONCE, Store, StoreError, column::tag};
use crate::domain::{
    account::AccountId,
    audit::{AuditEntry, AuditFilter, AuditLink, ListedEntry},
    client::ClientId,
    session::{Device, SessionId},
};

const ADD: &str =
    "INSERT INTO audit (at, event, account_id, session_id, client_id, address, user_agent, detail, previous, random, tag)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
// The database draws the random bytes, as for the revocation log.
const NEXT: &str = "SELECT (SELECT tag FROM audit ORDER BY id DESC LIMIT 1), randomblob(8)";

const COUNT: &str = "UPDATE audit SET detail = $1 WHERE id = $2 AND event = $3 AND session_id = $4";
// The newest stays: ids and the chain go on from it. Only from the beginning, so that the chain has no gap. An entry of a clock
// that was ahead keeps those after it for as long.
const FORGET: &str = "DELETE FROM audit WHERE id IN (
    SELECT id FROM (SELECT id, MAX(at) OVER (ORDER BY id) AS latest
        FROM (SELECT id, at FROM audit ORDER BY id LIMIT $1)) WHERE latest <= $2)
    AND id < (SELECT MAX(id) FROM audit)";
const FITS: &str = "($1 IS NULL OR audit.at >= $1) AND ($2 IS NULL OR audit.at <= $2)
    AND ($3 IS NULL OR account_id = $3) AND ($4 IS NULL OR event = $4) AND ($5 IS NULL OR client_id = $5)";

impl Store {
    /// At most `limit` entries that fit `filter`, with an id after `id`, oldest first.
    pub fn audit_after(
        &self,
        filter: &AuditFilter,
        id: i64,
        limit: u32,
    ) -> Result<Vec<ListedEntry>, StoreError> {
        let after = format!(
            "SELECT audit.id, audit.at, event, account_id, session_id, client_id, address, user_agent, detail, email,
            previous, random, tag FROM audit LEFT JOIN accounts ON accounts.id = account_id
            WHERE {FITS} AND audit.id > $6 ORDER BY audit.id LIMIT $7"
        );
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(&after)?;
            let rows = statement.query_map(Fits::of(filter).and(&[&id, &limit]).as_slice(), listed)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The id before the newest `count` entries that fit `filter`: those after it are the newest. The last id of all when
    /// `count` is 0 or none fits.
    pub fn audit_before_newest(&self, filter: &AuditFilter, count: u32) -> Result<i64, StoreError> {
        let newest = format!(
            "SELECT coalesce(min(id) - 1, (SELECT coalesce(max(id), 0) FROM audit)) FROM (SELECT id FROM audit WHERE {FITS} ORDER BY id DESC LIMIT $6)"
        );
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(&newest)?;
            Ok(statement.query_row(Fits::of(filter).and(&[&count]).as_slice(), |row| row.get(0))?)
        })
    }

    /// Deletes entries up to the instant `until`, inclusive, at most [`SWEPT_AT_ONCE`] of them. Returns how many.
    pub async fn forget_audit(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute(FORGET, params![SWEPT_AT_ONCE, until.unix_millis()])?)).await
    }

    /// Adds entries, all in one transaction.
    pub async fn add_audits(&self, entries: Vec<AuditEntry>) -> Result<(), StoreError> {
        self.write(move |tx| Ok(entries.iter().try_for_each(|entry| add(tx, entry))?)).await
    }

    /// Adds an entry in a transaction of its own.
    pub async fn add_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| Ok(add(tx, &entry)?)).await
    }
}

/// Adds an entry in the transaction of the change that it describes.
pub(super) fn add(tx: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    let next = |row: &Row<'_>| Ok((tag(row, 0)?, row.get(1)?));
    let (previous, random) = tx.prepare_cached(NEXT)?.query_row([], next)?;
    let link = AuditLink::after(previous, random, entry.into());
    let row = params![
        entry.at.unix_millis(),
        entry.event.as_str(),
        entry.account.as_ref().map(AccountId::as_bytes),
        entry.session.as_ref().map(SessionId::as_bytes),
        entry.client.as_ref().map(ClientId::as_str),
        entry.device.address,
        entry.device.user_agent,
        entry.detail,
        link.previous.bytes(),
        link.random,
        link.tag.bytes(),
    ];
    tx.prepare_cached(ADD)?.execute(row).map(drop)
}

/// Adds an entry about something that happened `times` times, or writes the count into the entry `id`, which was added when it
/// happened before. Returns the entry's id.
pub(super) fn count(
    tx: &Connection,
    id: Option<i64>,
    times: u32,
    entry: &AuditEntry,
) -> rusqlite::Result<i64> {
    let address = entry.device.address.as_deref().unwrap_or("an unknown address");
    let detail = if times == 1 { "once".to_owned() } else { format!("{times} times, last from {address}") };
    let session = entry.session.as_ref().map(SessionId::as_bytes);
    if let Some(id) = id {
        let row = params![detail, id, entry.event.as_str(), session];
        if tx.prepare_cached(COUNT)?.execute(row)? == 1 {
            return Ok(id);
        }
    }
    add(tx, &AuditEntry { detail: Some(detail), ..entry.clone() })?;
    Ok(tx.last_insert_rowid())
}

/// The values of a filter, as the statements number them.
struct Fits<'a> {
    since: Option<i64>,
    until: Option<i64>,
    account: Option<&'a [u8; 16]>,
    event: Option<&'a str>,
    client: Option<&'a str>,
}

impl<'a> Fits<'a> {
    fn of(filter: &'a AuditFilter) -> Self {
        Self {
            since: filter.since.map(Timestamp::unix_millis),
            until: filter.until.map(Timestamp::unix_millis),
            account: filter.account.as_ref().map(AccountId::as_bytes),
            event: filter.event.as_deref(),
            client: filter.client.as_deref(),
        }
    }

    /// The filter's values, and those that follow.
    fn and<'b>(&'b self, others: &[&'b dyn ToSql]) -> Vec<&'b dyn ToSql> {
        let own: [&dyn ToSql; 5] = [&self.since, &self.until, &self.account, &self.event, &self.client];
        own.into_iter().chain(others.iter().copied()).collect()
    }
}

fn listed(row: &Row<'_>) -> rusqlite::Result<ListedEntry> {
    Ok(ListedEntry {
        id: row.get(0)?,
        at: Timestamp::from_unix_millis(row.get(1)?),
        event: row.get(2)?,
        account: row.get::<_, Option<_>>(3)?.map(AccountId::from_bytes),
        session: row.get::<_, Option<_>>(4)?.map(SessionId::from_bytes),
        client: row.get(5)?,
        device: Device { address: row.get(6)?, user_agent: row.get(7)? },
        detail: row.get(8)?,
        email: row.get(9)?,
        link: link(row, 10)?,
    })
}

/// The link in those three columns.
fn link(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<AuditLink>> {
    let Some(random) = row.get(column + 1)? else { return Ok(None) };
    Ok(Some(AuditLink { previous: tag(row, column)?, random, tag: tag(row, column + 2)? }))
}
