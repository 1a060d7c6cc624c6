//! Clients and their secrets, hashed.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use shared::{
    clock::Timestamp,
    token::{Audience, Scope},
};

use super::{Store, StoreError, from_words, to_words};
use crate::domain::{
    account::Role,
    client::{Client, ClientId, Grant},
    secret::SecretHash,
};

const PUT: &str = "INSERT INTO clients (id, grants, scopes, audiences, roles, jwks, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET grants = excluded.grants, scopes = excluded.scopes, audiences = excluded.audiences,
    roles = excluded.roles, jwks = excluded.jwks";
const DROP_SECRETS: &str = "DELETE FROM client_secrets WHERE client_id = $1";
const ADD_SECRET: &str = "INSERT INTO client_secrets (client_id, hash, created_at) VALUES ($1, $2, $3)";
const BY_ID: &str =
    "SELECT id, grants, scopes, audiences, roles, jwks, disabled_at FROM clients WHERE id = $1";
const SECRETS: &str = "SELECT hash FROM client_secrets WHERE client_id = $1";

impl Store {
    /// Registers a client, or makes a registered one match. A disabled one stays disabled.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn put_client(&self, client: Client, now: Timestamp) -> Result<(), StoreError> {
        self.database
            .write(move |tx| {
                tx.prepare_cached(PUT)?.execute(params![
                    client.id.as_str(),
                    to_words(client.grants.iter().map(|grant| grant.as_str())),
                    to_words(client.scopes.iter()),
                    to_words(client.audiences.iter()),
                    to_words(client.roles.iter().map(Role::as_str)),
                    client.jwks,
                    now.unix_millis(),
                ])?;
                tx.prepare_cached(DROP_SECRETS)?.execute([client.id.as_str()])?;
                for secret in &client.secrets {
                    let row = params![client.id.as_str(), secret.as_bytes(), now.unix_millis()];
                    tx.prepare_cached(ADD_SECRET)?.execute(row)?;
                }
                Ok(())
            })
            .await
    }

    /// The client with that id.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.database.read(|connection| {
            let row = connection.prepare_cached(BY_ID)?.query_row([id.as_str()], Columns::read).optional()?;
            row.map(|row| row.into_client(secrets(connection, id)?)).transpose()
        })
    }
}

fn secrets(connection: &Connection, id: &ClientId) -> rusqlite::Result<Vec<SecretHash>> {
    let mut statement = connection.prepare_cached(SECRETS)?;
    let rows = statement.query_map([id.as_str()], |row| row.get(0).map(SecretHash::from_bytes))?;
    rows.collect()
}

/// A row as it is stored.
struct Columns {
    id: String,
    grants: String,
    scopes: String,
    audiences: String,
    roles: String,
    jwks: Option<String>,
    disabled_at: Option<i64>,
}

impl Columns {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            grants: row.get(1)?,
            scopes: row.get(2)?,
            audiences: row.get(3)?,
            roles: row.get(4)?,
            jwks: row.get(5)?,
            disabled_at: row.get(6)?,
        })
    }

    fn into_client(self, secrets: Vec<SecretHash>) -> Result<Client, StoreError> {
        let grants: Vec<String> = from_words(&self.grants)?;
        let roles: Vec<String> = from_words(&self.roles)?;
        let words: Vec<String> = from_words(&self.scopes)?;
        let mut scopes = Scope::default();
        scopes.extend(words.iter().map(String::as_str)).map_err(|_| StoreError::Damaged("a scope"))?;
        Ok(Client {
            id: ClientId::from_stored(self.id),
            secrets,
            jwks: self.jwks,
            grants: parse_all::<Grant>(&grants).ok_or(StoreError::Damaged("a grant"))?,
            scopes,
            audiences: from_words::<Audience>(&self.audiences)?,
            roles: parse_all::<Role>(&roles).ok_or(StoreError::Damaged("a role"))?,
            is_enabled: self.disabled_at.is_none(),
        })
    }
}

fn parse_all<T: std::str::FromStr>(words: &[String]) -> Option<Vec<T>> {
    words.iter().map(|word| word.parse().ok()).collect()
}
