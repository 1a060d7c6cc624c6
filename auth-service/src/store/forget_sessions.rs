//! Deletes sessions whose lifetime is over, in portions.

use countermark::clock::Timestamp;
use rusqlite::params;

use super::{SWEPT_AT_ONCE, Store, StoreError};
use crate::domain::session::SessionId;

// Without a condition on times, which have no index: each page reads as few rows.
const TIMES: &str = "SELECT id, created_at, rotated_at FROM sessions WHERE id > $1 ORDER BY id LIMIT $2";
const FORGET_OVER: &str = "DELETE FROM sessions WHERE id = $1 AND (created_at <= $2 OR rotated_at <= $3)";

impl Store {
    /// Deletes the sessions that were created up to `created` or last refreshed up to `rotated`: their lifetime is
    /// over. Looks at [`SWEPT_AT_ONCE`] sessions after the one that `after` is. Returns the last of them; `None` when there
    /// are no more.
    pub async fn forget_sessions(
        &self,
        after: Option<SessionId>,
        created: Timestamp,
        rotated: Timestamp,
    ) -> Result<Option<SessionId>, StoreError> {
        let (created, rotated) = (created.unix_millis(), rotated.unix_millis());
        let page = self.session_times(after)?;
        let is_over = |&(_, begun, used): &(_, i64, i64)| begun <= created || used <= rotated;
        let over: Vec<_> = page.iter().filter(|row| is_over(row)).map(|&(id, ..)| id).collect();
        if !over.is_empty() {
            self.write(move |tx| {
                let mut forget = tx.prepare_cached(FORGET_OVER)?;
                over.iter()
                    .try_for_each(|id| forget.execute(params![id.as_bytes(), created, rotated]).map(drop))?;
                Ok::<_, StoreError>(())
            })
            .await?;
        }
        Ok(page.last().filter(|_| page.len() == usize::from(SWEPT_AT_ONCE)).map(|&(id, ..)| id))
    }

    fn session_times(&self, after: Option<SessionId>) -> Result<Vec<(SessionId, i64, i64)>, StoreError> {
        // Nothing comes before an empty id.
        let after = after.as_ref().map_or(&[][..], |id| &id.as_bytes()[..]);
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(TIMES)?;
            let rows = statement.query_map(params![after, SWEPT_AT_ONCE], |row| {
                Ok((SessionId::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
