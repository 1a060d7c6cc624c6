//! Sessions.

use rusqlite::{OptionalExtension as _, Row, params};
use shared::clock::Timestamp;

use super::{Store, StoreError};
use crate::domain::{
    account::AccountId,
    client::ClientId,
    session::{Device, Generation, Session, SessionId, SessionSecret},
};

const ADD: &str = "INSERT INTO sessions
    (id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const BY_ID: &str =
    "SELECT id, account_id, client_id, secret, generation, created_at, rotated_at, user_agent, address
    FROM sessions WHERE id = $1";
const ROTATE: &str =
    "UPDATE sessions SET generation = generation + 1, rotated_at = $1, user_agent = $2, address = $3
    WHERE id = $4 AND generation = $5";

impl Store {
    /// Adds a session.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn add_session(&self, session: Session) -> Result<(), StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(ADD)?.execute(params![
                    session.id.as_bytes(),
                    session.account.as_bytes(),
                    session.client.as_str(),
                    session.secret.as_bytes(),
                    session.generation,
                    session.created_at.unix_millis(),
                    session.rotated_at.unix_millis(),
                    session.device.user_agent,
                    session.device.address,
                ])?;
                Ok(())
            })
            .await
    }

    /// The session with that id.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.database.read(|connection| {
            Ok(connection.prepare_cached(BY_ID)?.query_row([id.as_bytes()], read).optional()?)
        })
    }

    /// Spends the refresh token of `generation`: compare and set, so that one wins however many try, in however many
    /// processes. `false` when it was spent before.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was spent.
    pub async fn rotate_session(
        &self,
        id: SessionId,
        generation: Generation,
        now: Timestamp,
        device: Device,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |tx| {
                let rotated = tx.prepare_cached(ROTATE)?.execute(params![
                    now.unix_millis(),
                    device.user_agent,
                    device.address,
                    id.as_bytes(),
                    generation,
                ])?;
                Ok(rotated == 1)
            })
            .await
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: SessionId::from_bytes(row.get(0)?),
        account: AccountId::from_bytes(row.get(1)?),
        client: ClientId::from_stored(row.get(2)?),
        secret: SessionSecret::from_bytes(row.get(3)?),
        generation: row.get(4)?,
        created_at: Timestamp::from_unix_millis(row.get(5)?),
        rotated_at: Timestamp::from_unix_millis(row.get(6)?),
        device: Device { user_agent: row.get(7)?, address: row.get(8)? },
    })
}
