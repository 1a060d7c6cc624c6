//! Up to when tokens were minted, by whatever clock: known before the first of them is answered, so that whatever revokes
//! tokens up to now means all that there are, also when the clock has been set back. Kept beside the key that signs, for the
//! tokens go with it: a clock that was years ahead is remembered until then.

use std::time::Duration;

use countermark::{clock::Timestamp, verify::NumericDate};
use rusqlite::{Connection, params};

use super::{Store, StoreError};

const RAISE: &str = "UPDATE signing_keys SET minted_up_to = MAX(minted_up_to, $1) WHERE kid = $2";
const UP_TO: &str = "SELECT COALESCE(MAX(minted_up_to), 0) FROM signing_keys";

/// Tokens that were minted so little ahead are no sign of a clock that was set back: after one revocation the next tokens
/// are minted a second ahead. Half of what verifiers forgive.
const SLIGHTLY: Duration = Duration::from_secs(30);

impl Store {
    /// Remembers that tokens may be minted with that key up to then. `false` when there is no such key any more.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then none may be answered.
    pub async fn remember_minted(&self, kid: String, up_to: NumericDate) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                let raised = tx.prepare_cached(RAISE)?.execute(params![up_to.unix_seconds(), kid])?;
                Ok(raised == 1)
            })
            .await
    }
}

/// Up to when tokens may have been minted that live, or may live again.
pub(super) fn up_to(tx: &Connection) -> rusqlite::Result<NumericDate> {
    let up_to = tx.prepare_cached(UP_TO)?.query_row([], |row| row.get(0))?;
    Ok(NumericDate::from_unix_seconds(up_to))
}

/// Whether the clock was set back from there to `now`, so that what is minted after `up_to` would be good for nothing yet.
pub(super) fn is_set_back(up_to: NumericDate, now: Timestamp) -> bool {
    Timestamp::from_unix_seconds(up_to.unix_seconds()) > now.after(SLIGHTLY)
}
