//! Stores audiences and the scopes that they own.

use countermark::verify::{Audience, Scope};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError, audit, clients, registry_version};
use crate::domain::{audience::RegisteredAudience, audit::AuditEntry, client::Client};

const PUT: &str = "INSERT INTO audiences (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
const DROP_SCOPES: &str = "DELETE FROM scopes WHERE audience_id = $1";
const ADD_SCOPE: &str = "INSERT INTO scopes (name, audience_id, is_default) VALUES ($1, $2, $3)";
const SCOPES: &str = "SELECT name, is_default FROM scopes WHERE audience_id = $1 ORDER BY name";
const ALL: &str = "SELECT id FROM audiences ORDER BY id";
const OWNER: &str = "SELECT audience_id FROM scopes WHERE name = $1";

const REMOVE: &str = "DELETE FROM audiences WHERE id = $1";

/// Why an audience is not removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRemoved {
    /// There is none of that id.
    #[error("there is no such audience")]
    Unknown,
    /// Clients name it, or one of its scopes.
    #[error(
        "still named, it or one of its scopes, by: {}; remove each with `client remove ID`, or register it anew without it",
        .0.join(", ")
    )]
    UsedBy(Vec<String>),
}

/// The scope belongs to another audience.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scope {0} belongs to another audience")]
pub struct ScopeTaken(pub String);

impl Store {
    /// Registers an audience, or updates a registered one to match. Audits `why` if it is given.
    ///
    /// The inner error names a scope that belongs to another audience. Nothing is changed then.
    pub async fn put_audience(
        &self,
        audience: RegisteredAudience,
        why: Option<AuditEntry>,
    ) -> Result<Result<(), ScopeTaken>, StoreError> {
        self.write(move |tx| {
            let id = audience.id.as_str();
            for scope in audience.scopes.iter() {
                let owner: Option<String> =
                    tx.prepare_cached(OWNER)?.query_row([scope], |row| row.get(0)).optional()?;
                if owner.is_some_and(|owner| owner != id) {
                    return Ok(Err(ScopeTaken(scope.to_owned())));
                }
            }
            tx.prepare_cached(PUT)?.execute([id])?;
            tx.prepare_cached(DROP_SCOPES)?.execute([id])?;
            for scope in audience.scopes.iter() {
                let is_default = audience.default_scopes.contains(scope);
                tx.prepare_cached(ADD_SCOPE)?.execute(params![scope, id, is_default])?;
            }
            if let Some(why) = why {
                audit::add(tx, &why)?;
            }
            registry_version::changed(tx)?;
            Ok(Ok(()))
        })
        .await
    }
}

impl Store {
    /// Removes an audience with its scopes, and audits `why`.
    ///
    /// The inner error says why it is not removed. Nothing is changed then.
    pub async fn remove_audience(
        &self,
        id: Audience,
        why: AuditEntry,
    ) -> Result<Result<(), NotRemoved>, StoreError> {
        self.write(move |tx| {
            let Some(audience) = all(tx)?.into_iter().find(|audience| audience.id == id) else {
                return Ok(Err(NotRemoved::Unknown));
            };
            let names = |client: &Client| {
                client.audiences.contains(&id)
                    || client.scopes.iter().any(|scope| audience.scopes.contains(scope))
            };
            // Read in the same transaction: a client may have been registered since the operator looked.
            let named_by = clients::all(tx)?.into_iter().filter(names).map(|client| client.id.to_string());
            let named_by: Vec<_> = named_by.collect();
            if !named_by.is_empty() {
                return Ok(Err(NotRemoved::UsedBy(named_by)));
            }
            tx.prepare_cached(REMOVE)?.execute([id.as_str()])?;
            audit::add(tx, &why)?;
            registry_version::changed(tx)?;
            Ok(Ok(()))
        })
        .await
    }
}

/// All audiences, ordered by id.
pub(super) fn all(connection: &Connection) -> Result<Vec<RegisteredAudience>, StoreError> {
    let ids = connection
        .prepare_cached(ALL)?
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let mut statement = connection.prepare_cached(SCOPES)?;
    ids.into_iter()
        .map(|id| {
            let rows = statement.query_map([&id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(String, bool)> = rows.collect::<Result<_, _>>()?;
            let scope = |rows: &mut dyn Iterator<Item = &(String, bool)>| -> Result<Scope, StoreError> {
                let mut scope = Scope::default();
                let words = rows.map(|(name, _)| name.as_str());
                scope.extend(words).map_err(|_| StoreError::Damaged("a scope"))?;
                Ok(scope)
            };
            Ok(RegisteredAudience {
                scopes: scope(&mut rows.iter())?,
                default_scopes: scope(&mut rows.iter().filter(|(_, is_default)| *is_default))?,
                id: Audience::new(id),
            })
        })
        .collect()
}
