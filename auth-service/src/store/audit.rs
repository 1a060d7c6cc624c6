//! Stores the audit table, which is append-only.

use countermark::clock::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Store, StoreError};
use crate::domain::{
    account::AccountId,
    audit::{AuditEntry, ListedEntry},
    client::ClientId,
    session::{Device, SessionId},
};

const ADD: &str =
    "INSERT INTO audit (at, event, account_id, session_id, client_id, address, user_agent, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const FORGET: &str = "DELETE FROM audit WHERE at <= $1";
const AFTER: &str = "SELECT id, at, event, account_id, session_id, client_id, address, user_agent, detail
    FROM audit WHERE id > $1 ORDER BY id LIMIT $2";

impl Store {
    /// At most `limit` entries with an id after `id`, oldest first.
    pub fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<ListedEntry>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(AFTER)?;
            let rows = statement.query_map(params![id, limit], listed)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Deletes the entries up to the instant `until`, inclusive. Returns how many.
    pub async fn forget_audit(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.database.write(move |tx| Ok(tx.execute(FORGET, [until.unix_millis()])?)).await
    }

    /// Adds an entry in a transaction of its own.
    pub async fn add_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.database.write(move |tx| Ok(add(tx, &entry)?)).await
    }
}

/// Adds an entry in the transaction of the change that it describes.
pub(super) fn add(tx: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    let row = params![
        entry.at.unix_millis(),
        entry.event.as_str(),
        entry.account.as_ref().map(AccountId::as_bytes),
        entry.session.as_ref().map(SessionId::as_bytes),
        entry.client.as_ref().map(ClientId::as_str),
        entry.device.address,
        entry.device.user_agent,
        entry.detail,
    ];
    tx.prepare_cached(ADD)?.execute(row).map(drop)
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
    })
}
