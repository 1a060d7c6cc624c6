//! Remembers the assertions that clients authenticated with (RFC 7523). Each assertion is accepted once.

use countermark::clock::Timestamp;
use rusqlite::params;

use super::{SWEPT_AT_ONCE, Store, StoreError};
use crate::domain::{assertion::Spent, client::ClientId, secret::SecretHash};

const SPEND: &str = "INSERT INTO assertions (client_id, jti, expires_at) VALUES ($1, $2, $3)
    ON CONFLICT (client_id, jti) DO NOTHING";
const FORGET: &str = "DELETE FROM assertions WHERE (client_id, jti) IN
    (SELECT client_id, jti FROM assertions WHERE expires_at <= $1 LIMIT $2)";

impl Store {
    /// Marks an assertion of a client as used. `false` when it was used before.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. The assertion is unused then.
    pub async fn spend_assertion(&self, client: ClientId, spent: Spent) -> Result<bool, StoreError> {
        let jti = SecretHash::of(spent.jti.as_str());
        self.write(move |tx| {
            let row = params![client.as_str(), jti.as_bytes(), spent.expires_at.unix_millis()];
            Ok(tx.prepare_cached(SPEND)?.execute(row)? == 1)
        })
        .await
    }

    /// Deletes expired assertions, at most [`SWEPT_AT_ONCE`] of them. Returns how many.
    pub async fn forget_assertions(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute(FORGET, params![now.unix_millis(), SWEPT_AT_ONCE])?)).await
    }
}
