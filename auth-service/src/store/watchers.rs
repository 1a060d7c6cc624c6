//! Stores the watchers of the revocation log. Each process writes its own watchers, and reads those of the other
//! processes.

use std::time::Duration;

use countermark::{clock::Timestamp, verify::LogId};
use rusqlite::{Connection, Row, params};

use super::{
    SWEPT_AT_ONCE, Store, StoreError, from_words,
    revocations::{seq, stored},
    to_words,
};
use crate::domain::{
    client::ClientId,
    watcher::{Applied, ProcessId, WatcherIdentity},
};

const WRITE: &str = "INSERT INTO watchers (process, ordinal, client_id, name, version, policy, stale_after, log_id,
        acked_seq, acked_key_set, is_connected, connected_at, heard_at, silent_for, clock_offset, algorithms, beats, arrival)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1,
        (SELECT COALESCE(MAX(arrival), 0) + 1 FROM watchers))
    ON CONFLICT (process, ordinal) DO UPDATE SET log_id = excluded.log_id, acked_seq = excluded.acked_seq,
        acked_key_set = excluded.acked_key_set, is_connected = excluded.is_connected, heard_at = excluded.heard_at,
        silent_for = excluded.silent_for, clock_offset = excluded.clock_offset, beats = beats + 1
    RETURNING arrival";
const CAME_BACK: &str = "DELETE FROM watchers WHERE client_id = $1 AND name = $2 AND is_connected = 0";
const IS_BACK: &str =
    "DELETE FROM watchers WHERE process = $1 AND ordinal = $2 AND is_connected = 0 AND EXISTS
    (SELECT 1 FROM watchers AS later WHERE later.client_id = watchers.client_id AND later.name = watchers.name
        AND later.is_connected = 1 AND later.arrival > watchers.arrival)";
const FORGET: &str = "DELETE FROM watchers WHERE process = $1 AND ordinal = $2";
const ELSEWHERE: &str =
    "SELECT process, ordinal, client_id, name, version, policy, stale_after, log_id, acked_seq,
        acked_key_set, is_connected, connected_at, heard_at, silent_for, clock_offset, beats, arrival, algorithms
    FROM watchers WHERE process != $1 OR is_connected = 0";
const LOST: &str = "UPDATE watchers SET is_connected = 0
    WHERE process = $1 AND ordinal = $2 AND beats = $3 AND is_connected = 1";
const FORGET_VANISHED: &str = "DELETE FROM watchers WHERE (process, ordinal) IN
    (SELECT process, ordinal FROM watchers WHERE is_connected = 0 AND heard_at <= $1 LIMIT $2)";

/// A watcher, as its process stores it.
#[derive(Clone, Debug)]
pub struct WatcherRow {
    /// The process that the watcher is connected to.
    pub process: ProcessId,
    /// The number of the watcher within its process.
    pub ordinal: i64,
    /// The identity of the watcher.
    pub who: WatcherIdentity,
    /// The log that the watcher follows.
    pub log_id: LogId,
    /// The last entry and the key set that the watcher has applied.
    pub applied: Applied,
    /// `true` while the stream is open.
    pub is_connected: bool,
    /// The instant at which the stream was opened.
    pub connected_at: Timestamp,
    /// The instant of the last message from the watcher.
    pub heard_at: Timestamp,
    /// The time between the last message and the write of this row.
    pub silent_for: Duration,
    /// The watcher's wall clock minus ours, in milliseconds.
    pub clock_offset: Option<i64>,
    /// How often this row was written. The database counts it.
    pub beats: i64,
    /// The position of the watcher among all watchers ever stored. The database counts it.
    pub arrival: i64,
}

/// The changes that a process writes for its watchers.
#[derive(Clone, Debug, Default)]
pub struct WatcherChanges {
    /// New and changed watchers.
    pub written: Vec<WatcherRow>,
    /// The ordinals of the new watchers in `written`. Rows that remain from an earlier stream of the same watcher are
    /// deleted.
    pub came: Vec<i64>,
    /// The ordinals of the watchers that closed their stream in order.
    pub left: Vec<i64>,
}

impl Store {
    /// Writes a process's changes. Returns the arrival of each watcher in `changes.written`.
    pub async fn write_watchers(
        &self,
        process: ProcessId,
        changes: WatcherChanges,
    ) -> Result<Vec<i64>, StoreError> {
        self.write(move |tx| {
            let mut arrivals = Vec::with_capacity(changes.written.len());
            for watcher in &changes.written {
                if changes.came.contains(&watcher.ordinal) {
                    let name = params![watcher.who.client.as_str(), watcher.who.name];
                    tx.prepare_cached(CAME_BACK)?.execute(name)?;
                }
                arrivals.push(write(tx, watcher)?);
                if !watcher.is_connected {
                    tx.prepare_cached(IS_BACK)?.execute(params![process.as_bytes(), watcher.ordinal])?;
                }
            }
            for ordinal in &changes.left {
                tx.prepare_cached(FORGET)?.execute(params![process.as_bytes(), ordinal])?;
            }
            Ok(arrivals)
        })
        .await
    }

    /// The watchers of other processes than `process`, and all watchers that lost their connection.
    pub fn watchers_elsewhere(&self, process: ProcessId) -> Result<Vec<WatcherRow>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(ELSEWHERE)?;
            let mut rows = statement.query([process.as_bytes()])?;
            let mut watchers = Vec::new();
            while let Some(row) = rows.next()? {
                watchers.push(read(row)?);
            }
            Ok(watchers)
        })
    }

    /// Marks watchers of dead processes as not connected. Skips a watcher whose row was written after its `beats`
    /// were read.
    pub async fn lose_watchers(&self, lost: Vec<WatcherRow>) -> Result<(), StoreError> {
        self.write(move |tx| {
            for WatcherRow { process, ordinal, beats, .. } in &lost {
                tx.prepare_cached(LOST)?.execute(params![process.as_bytes(), ordinal, beats])?;
                tx.prepare_cached(IS_BACK)?.execute(params![process.as_bytes(), ordinal])?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes watchers that lost their connection and whose last message came at `until` or before, at most
    /// [`SWEPT_AT_ONCE`] of them. Returns how many.
    pub async fn forget_watchers(&self, until: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute(FORGET_VANISHED, params![until.unix_millis(), SWEPT_AT_ONCE])?))
            .await
    }
}

fn write(tx: &Connection, watcher: &WatcherRow) -> rusqlite::Result<i64> {
    let who = &watcher.who;
    let row = params![
        watcher.process.as_bytes(),
        watcher.ordinal,
        who.client.as_str(),
        who.name,
        who.version,
        who.policy.as_str(),
        millis(who.stale_after),
        watcher.log_id.bytes(),
        stored(watcher.applied.seq),
        watcher.applied.key_set,
        watcher.is_connected,
        watcher.connected_at.unix_millis(),
        watcher.heard_at.unix_millis(),
        millis(watcher.silent_for),
        watcher.clock_offset,
        to_words(&who.algorithms),
    ];
    tx.prepare_cached(WRITE)?.query_row(row, |row| row.get(0))
}

fn read(row: &Row<'_>) -> Result<WatcherRow, StoreError> {
    let span = |millis: i64| Duration::from_millis(millis.unsigned_abs());
    let policy: String = row.get(5)?;
    let algorithms: Option<String> = row.get(17)?;
    Ok(WatcherRow {
        process: ProcessId::from_bytes(row.get(0)?),
        ordinal: row.get(1)?,
        who: WatcherIdentity {
            client: ClientId::from_stored(row.get(2)?),
            name: row.get(3)?,
            version: row.get(4)?,
            policy: policy.parse().map_err(|_| StoreError::Damaged("a watcher's policy"))?,
            stale_after: span(row.get(6)?),
            algorithms: algorithms.map_or(Ok(Vec::new()), |text| from_words(&text))?,
        },
        log_id: LogId::new(row.get(7)?),
        applied: Applied { seq: seq(row.get(8)?), key_set: row.get(9)? },
        is_connected: row.get(10)?,
        connected_at: Timestamp::from_unix_millis(row.get(11)?),
        heard_at: Timestamp::from_unix_millis(row.get(12)?),
        silent_for: span(row.get(13)?),
        clock_offset: row.get(14)?,
        beats: row.get(15)?,
        arrival: row.get(16)?,
    })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
