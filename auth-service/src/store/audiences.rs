//! Audiences and the scopes that they own.

use rusqlite::{OptionalExtension as _, params};
use shared::token::{Audience, Scope};

use super::{Store, StoreError};
use crate::domain::audience::RegisteredAudience;

const PUT: &str = "INSERT INTO audiences (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
const DROP_SCOPES: &str = "DELETE FROM scopes WHERE audience_id = $1";
const ADD_SCOPE: &str = "INSERT INTO scopes (name, audience_id, is_default) VALUES ($1, $2, $3)";
const SCOPES: &str = "SELECT name, is_default FROM scopes WHERE audience_id = $1 ORDER BY name";
const OWNER: &str = "SELECT audience_id FROM scopes WHERE name = $1";

/// Another audience owns the scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scope {0} belongs to another audience")]
pub struct ScopeTaken(pub String);

impl Store {
    /// Registers an audience, or makes a registered one match.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn put_audience(
        &self,
        audience: RegisteredAudience,
    ) -> Result<Result<(), ScopeTaken>, StoreError> {
        self.database
            .write(move |tx| {
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
                Ok(Ok(()))
            })
            .await
    }

    /// The default scopes of those audiences, in their order.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn default_scopes(&self, audiences: &[Audience]) -> Result<Scope, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(SCOPES)?;
            let mut scope = Scope::default();
            for audience in audiences {
                let rows = statement.query_map([audience.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let rows: Vec<(String, bool)> = rows.collect::<Result<_, _>>()?;
                let defaults =
                    rows.iter().filter(|(_, is_default)| *is_default).map(|(name, _)| name.as_str());
                scope.extend(defaults).map_err(|_| StoreError::Damaged("a scope"))?;
            }
            Ok(scope)
        })
    }
}
