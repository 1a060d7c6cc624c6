//! Assertions that clients have authenticated with: each is good once.

use countermark::clock::Timestamp;
use rusqlite::params;

use super::{Store, StoreError};
use crate::domain::{assertion::Spent, client::ClientId, secret::SecretHash};

const SPEND: &str = "INSERT INTO assertions (client_id, jti, expires_at) VALUES ($1, $2, $3)
    ON CONFLICT (client_id, jti) DO NOTHING";
const FORGET: &str = "DELETE FROM assertions WHERE expires_at <= $1";

impl Store {
    /// Spends an assertion of a client. `false` when it was spent before.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then it is not spent.
    pub async fn spend_assertion(&self, client: ClientId, spent: Spent) -> Result<bool, StoreError> {
        let jti = SecretHash::of(spent.jti.as_str());
        self.database
            .write(move |tx| {
                let row = params![client.as_str(), jti.as_bytes(), spent.expires_at.unix_millis()];
                Ok(tx.prepare_cached(SPEND)?.execute(row)? == 1)
            })
            .await
    }

    /// Takes away those that have expired. Answers how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn forget_assertions(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.database.write(move |tx| Ok(tx.execute(FORGET, [now.unix_millis()])?)).await
    }
}
