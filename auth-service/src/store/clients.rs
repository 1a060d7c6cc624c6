//! Stores clients and the hashes of their secrets.

use countermark::{
    clock::Timestamp,
    verify::{Audience, Revocation, Scope},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Store, StoreError, audit, from_words, registry_version,
    revocations::{self, LogEntry},
    to_words,
};
use crate::domain::{
    account::Role,
    audit::AuditEntry,
    client::{Client, ClientId, GrantType},
    secret::SecretHash,
};

const PUT: &str = "INSERT INTO clients (id, grants, scopes, audiences, roles, jwks, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET grants = excluded.grants, scopes = excluded.scopes, audiences = excluded.audiences,
    roles = excluded.roles, jwks = excluded.jwks";
const DROP_SECRETS: &str = "DELETE FROM client_secrets WHERE client_id = $1";
const ADD_SECRET: &str = "INSERT INTO client_secrets (client_id, hash, created_at, ordinal)
    SELECT $1, $2, $3, 1 + coalesce(max(ordinal), 0) FROM client_secrets WHERE client_id = $1";
const DROP_OLDER_SECRETS: &str = "DELETE FROM client_secrets WHERE client_id = $1
    AND ordinal < (SELECT max(ordinal) FROM client_secrets WHERE client_id = $1)";
const SET_ENABLED: &str = "UPDATE clients SET disabled_at = $1 WHERE id = $2";
const DECLARED: &str = "SELECT declared_secret FROM clients WHERE id = $1";
const DECLARE: &str = "UPDATE clients SET declared_secret = $1 WHERE id = $2";
const ALL: &str = "SELECT id, grants, scopes, audiences, roles, jwks, disabled_at FROM clients ORDER BY id";
const SCOPES: &str = "SELECT scopes FROM clients WHERE id = $1";
const SET_SCOPES: &str = "UPDATE clients SET scopes = $1 WHERE id = $2";
const REMOVE: &str = "DELETE FROM clients WHERE id = $1";
const SECRETS: &str = "SELECT hash FROM client_secrets WHERE client_id = $1";

impl Store {
    /// Registers a client that the bootstrap file declares, or updates a registered one to match.
    ///
    /// A disabled client stays disabled. Rotated secrets stay as long as the file declares the same secret as before.
    pub async fn declare_client(&self, client: Client, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            let id = client.id.as_str();
            let declared = client.secrets.first().map(SecretHash::as_bytes);
            let before: Option<Option<[u8; 32]>> =
                tx.prepare_cached(DECLARED)?.query_row([id], |row| row.get(0)).optional()?;
            put(tx, &client, now)?;
            if before.is_none_or(|before| before.as_ref() != declared) {
                tx.prepare_cached(DROP_SECRETS)?.execute([id])?;
                for secret in &client.secrets {
                    add_secret(tx, &client.id, *secret, now)?;
                }
                tx.prepare_cached(DECLARE)?.execute(params![declared, id])?;
            }
            Ok(registry_version::changed(tx)?)
        })
        .await
    }

    /// Registers a client, and audits `why`. `false` when the id is taken.
    pub async fn add_client(
        &self,
        client: Client,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if tx.prepare_cached(DECLARED)?.exists([client.id.as_str()])? {
                return Ok(false);
            }
            put(tx, &client, now)?;
            for secret in &client.secrets {
                add_secret(tx, &client.id, *secret, now)?;
            }
            audit::add(tx, &why)?;
            registry_version::changed(tx)?;
            Ok(true)
        })
        .await
    }

    /// Gives a client `more` scopes, and audits `why`. `false` when there is no such client.
    pub async fn add_client_scopes(
        &self,
        id: ClientId,
        more: Scope,
        why: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let held = tx.prepare_cached(SCOPES)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
            let Some(held): Option<String> = held else { return Ok(false) };
            let scopes = scopes(&held)?.union(&more);
            let row = params![to_words(scopes.iter()), id.as_str()];
            tx.prepare_cached(SET_SCOPES)?.execute(row)?;
            audit::add(tx, &why)?;
            registry_version::changed(tx)?;
            Ok(true)
        })
        .await
    }

    /// Removes all secrets but the newest, adds `new` if it is given, and audits `why`.
    ///
    /// Two secrets are valid after a rotation, so that callers can switch one by one.
    pub async fn rotate_secret(
        &self,
        id: ClientId,
        new: Option<SecretHash>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached(DROP_OLDER_SECRETS)?.execute([id.as_str()])?;
            if let Some(secret) = new {
                add_secret(tx, &id, secret, now)?;
            }
            audit::add(tx, &why)?;
            Ok(registry_version::changed(tx)?)
        })
        .await
    }

    /// Disables a client when `revocation` is given, and appends that revocation of its tokens to the log. Enables
    /// the client otherwise. Audits `why`.
    pub async fn set_client_enabled(
        &self,
        id: ClientId,
        revocation: Option<Revocation>,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Option<LogEntry>, StoreError> {
        self.write(move |tx| {
            let disabled_at = revocation.is_some().then(|| now.unix_millis());
            tx.prepare_cached(SET_ENABLED)?.execute(params![disabled_at, id.as_str()])?;
            audit::add(tx, &why)?;
            registry_version::changed(tx)?;
            revocation.map(|revocation| revocations::append(tx, revocation, now)).transpose()
        })
        .await
    }
}

impl Store {
    /// Removes a client with its secrets, appends `revocation` of its tokens to the log, and audits `why`. `None` when there is
    /// no such client.
    pub async fn remove_client(
        &self,
        id: ClientId,
        revocation: Revocation,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Option<LogEntry>, StoreError> {
        self.write(move |tx| {
            if tx.prepare_cached(REMOVE)?.execute([id.as_str()])? == 0 {
                return Ok(None);
            }
            audit::add(tx, &why)?;
            registry_version::changed(tx)?;
            revocations::append(tx, revocation, now).map(Some)
        })
        .await
    }
}

/// All clients, ordered by id.
pub(super) fn all(connection: &Connection) -> Result<Vec<Client>, StoreError> {
    let rows =
        connection.prepare_cached(ALL)?.query_map([], Columns::read)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|row| {
            let secrets = secrets(connection, &row.id)?;
            row.into_client(secrets)
        })
        .collect()
}

fn put(tx: &Connection, client: &Client, now: Timestamp) -> rusqlite::Result<()> {
    let row = params![
        client.id.as_str(),
        to_words(client.grants.iter().map(|grant| grant.as_str())),
        to_words(client.scopes.iter()),
        to_words(client.audiences.iter()),
        to_words(client.roles.iter().map(Role::as_str)),
        client.jwks,
        now.unix_millis(),
    ];
    tx.prepare_cached(PUT)?.execute(row).map(drop)
}

fn add_secret(tx: &Connection, id: &ClientId, secret: SecretHash, now: Timestamp) -> rusqlite::Result<()> {
    let row = params![id.as_str(), secret.as_bytes(), now.unix_millis()];
    tx.prepare_cached(ADD_SECRET)?.execute(row).map(drop)
}

fn secrets(connection: &Connection, id: &str) -> rusqlite::Result<Vec<SecretHash>> {
    let mut statement = connection.prepare_cached(SECRETS)?;
    let rows = statement.query_map([id], |row| row.get(0).map(SecretHash::from_bytes))?;
    rows.collect()
}

/// One row of the table, with the column types of the database.
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
        Ok(Client {
            id: ClientId::from_stored(self.id),
            secrets,
            jwks: self.jwks,
            grants: parse_all::<GrantType>(&grants).ok_or(StoreError::Damaged("a grant"))?,
            scopes: scopes(&self.scopes)?,
            audiences: from_words::<Audience>(&self.audiences)?,
            roles: parse_all::<Role>(&roles).ok_or(StoreError::Damaged("a role"))?,
            is_enabled: self.disabled_at.is_none(),
        })
    }
}

fn scopes(words: &str) -> Result<Scope, StoreError> {
    let words: Vec<String> = from_words(words)?;
    let mut scopes = Scope::default();
    scopes.extend(words.iter().map(String::as_str)).map_err(|_| StoreError::Damaged("a scope"))?;
    Ok(scopes)
}

fn parse_all<T: std::str::FromStr>(words: &[String]) -> Option<Vec<T>> {
    words.iter().map(|word| word.parse().ok()).collect()
}
