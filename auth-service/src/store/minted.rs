//! The mint watermark: the largest `iat` that any token of a signing key may carry.
//!
//! The watermark is stored before a token is minted. "Revoke everything up to now" means up to the watermark, so that
//! it covers every token even after the clock was set back. The watermark is a column of the signing key, and is
//! deleted with the key: without the key, its tokens are invalid. If the clock was once years ahead, the watermark
//! stays years ahead until that key is removed.

use std::time::Duration;

use countermark::{
    clock::Timestamp,
    verify::{Kid, NumericDate},
};
use rusqlite::{Connection, params};

use super::{Store, StoreError};

const RAISE: &str = "UPDATE signing_keys SET minted_up_to = MAX(minted_up_to, $1) WHERE kid = $2";
const UP_TO: &str = "SELECT COALESCE(MAX(minted_up_to), 0) FROM signing_keys";

/// A watermark this far ahead of the clock does not count as a clock that was set back. The reason: after a
/// revocation, the next tokens carry an `iat` one second ahead. The value is half of the 60 s that verifiers
/// tolerate.
const SLIGHTLY: Duration = Duration::from_secs(30);

/// A watermark to be stored.
#[derive(Clone, Debug)]
pub struct MintMark {
    /// The signing key.
    pub kid: Kid,
    /// The largest `iat` that any token of the key may carry.
    pub up_to: NumericDate,
}

impl Store {
    /// Raises a watermark. `false` when the key does not exist.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. No token may be issued then.
    pub async fn raise_mint_mark(&self, mark: MintMark) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(raise(tx, &mark)?)).await
    }
}

/// Raises a watermark in the transaction that needs it. `false` when the key does not exist.
pub(super) fn raise(tx: &Connection, mark: &MintMark) -> rusqlite::Result<bool> {
    let raised = tx.prepare_cached(RAISE)?.execute(params![mark.up_to.unix_seconds(), mark.kid.as_str()])?;
    Ok(raised == 1)
}

/// The largest watermark of all stored keys, or 0 when there are no keys.
pub(super) fn up_to(tx: &Connection) -> rusqlite::Result<NumericDate> {
    let up_to = tx.prepare_cached(UP_TO)?.query_row([], |row| row.get(0))?;
    Ok(NumericDate::from_unix_seconds(up_to))
}

/// `true` when the clock was set back by more than [`SLIGHTLY`], so that tokens with an `iat` after `up_to` could not
/// be used yet.
pub(super) fn is_set_back(up_to: NumericDate, now: Timestamp) -> bool {
    Timestamp::from_unix_seconds(up_to.unix_seconds()) > now.after(SLIGHTLY)
}
