//! Counts login attempts in the database, so that the limits hold after a restart and across processes.

use countermark::clock::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{SWEPT_AT_ONCE, Store, StoreError};
use crate::domain::login_limits::{Rate, Wait};

const BY_WHO: &str = "SELECT forgotten_at FROM login_tries WHERE who = $1";
const PUT: &str = "INSERT INTO login_tries (who, forgotten_at) VALUES ($1, $2)
    ON CONFLICT (who) DO UPDATE SET forgotten_at = excluded.forgotten_at";
const FORGET: &str = "DELETE FROM login_tries WHERE who IN
    (SELECT who FROM login_tries WHERE forgotten_at <= $1 ORDER BY forgotten_at LIMIT $2)";
const COUNT: &str = "SELECT COUNT(*) FROM login_tries";
const FORGET_SOONEST: &str = "DELETE FROM login_tries WHERE who IN
    (SELECT who FROM login_tries ORDER BY forgotten_at LIMIT $1)";

/// Maximum number of rows. Above it, the rows that would expire first are deleted.
const MOST: i64 = 100_000;

/// Identifies the attempts that are counted together: a MAC of the email address or network address.
pub type Subject = [u8; 16];

/// A limit for one subject.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The subject whose attempts are counted.
    pub subject: Subject,
    /// The permitted rate.
    pub rate: Rate,
}

impl Store {
    /// Counts one attempt under each of `limits`. If any limit is exceeded, counts the attempt under none of them,
    /// and the inner error says how long to wait.
    pub async fn take_try(&self, limits: Vec<Limit>, now: Timestamp) -> Result<Result<(), Wait>, StoreError> {
        self.write(move |tx| {
            let mut taken = Vec::with_capacity(limits.len());
            for limit in limits {
                match limit.rate.take(forgotten_at(tx, limit.subject)?, now) {
                    Ok(at) => taken.push((limit.subject, at)),
                    Err(wait) => return Ok(Err(wait)),
                }
            }
            for (subject, at) in taken {
                tx.prepare_cached(PUT)?.execute(params![subject, at.unix_millis()])?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Removes one counted attempt, because it succeeded, in a transaction of its own.
    pub async fn refund_try(&self, limit: Limit) -> Result<(), StoreError> {
        self.write(move |tx| refund(tx, limit)).await
    }

    /// Deletes expired rows; without any, those above the table's maximum size. At most [`SWEPT_AT_ONCE`] of them. Returns how many.
    pub async fn forget_tries(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| {
            let expired = tx.execute(FORGET, params![now.unix_millis(), SWEPT_AT_ONCE])?;
            if expired > 0 {
                return Ok(expired);
            }
            let count: i64 = tx.query_row(COUNT, [], |row| row.get(0))?;
            let surplus = (count - MOST).clamp(0, SWEPT_AT_ONCE.into());
            Ok(tx.execute(FORGET_SOONEST, [surplus])?)
        })
        .await
    }
}

/// Removes one counted attempt, in the transaction of the login that succeeded.
pub(super) fn refund(tx: &Connection, limit: Limit) -> Result<(), StoreError> {
    if let Some(at) = forgotten_at(tx, limit.subject)? {
        let at = limit.rate.give_back(at);
        tx.prepare_cached(PUT)?.execute(params![limit.subject, at.unix_millis()])?;
    }
    Ok(())
}

fn forgotten_at(tx: &Connection, subject: Subject) -> Result<Option<Timestamp>, StoreError> {
    let at = tx.prepare_cached(BY_WHO)?.query_row([subject], |row| row.get(0)).optional()?;
    Ok(at.map(Timestamp::from_unix_millis))
}
