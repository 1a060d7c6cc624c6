//! Stores unused invitations. The transaction that adds the account deletes the invitation.

use countermark::clock::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{SWEPT_AT_ONCE, Store, StoreError, audit, from_words, to_words};
use crate::domain::{
    account::{Email, Role},
    audit::AuditEntry,
    invitation::Invitation,
    secret::SecretHash,
};

const ADD: &str = "INSERT INTO invitations (code_hash, email, roles, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5)";
const BY_CODE: &str = "SELECT email, roles, created_at, expires_at FROM invitations WHERE code_hash = $1";
const USE: &str = "DELETE FROM invitations WHERE code_hash = $1";
const FORGET: &str = "DELETE FROM invitations WHERE code_hash IN
    (SELECT code_hash FROM invitations WHERE expires_at <= $1 LIMIT $2)";

impl Store {
    /// Adds an invitation, and audits `why`.
    pub async fn add_invitation(
        &self,
        code: SecretHash,
        invitation: Invitation,
        why: AuditEntry,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                ADD,
                params![
                    code.as_bytes(),
                    invitation.email.as_ref().map(Email::as_str),
                    to_words(invitation.roles.iter().map(Role::as_str)),
                    invitation.created_at.unix_millis(),
                    invitation.expires_at.unix_millis(),
                ],
            )?;
            Ok(audit::add(tx, &why)?)
        })
        .await
    }

    /// The invitation with this code. An expired invitation is returned, too.
    pub fn invitation(&self, code: SecretHash) -> Result<Option<Invitation>, StoreError> {
        let row = self.database.read(|connection| {
            let columns = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(Option<String>, String, i64, i64)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            };
            let mut statement = connection.prepare_cached(BY_CODE)?;
            Ok::<_, StoreError>(statement.query_row([code.as_bytes()], columns).optional()?)
        })?;
        let Some((email, roles, created_at, expires_at)) = row else { return Ok(None) };
        let roles = from_words::<String>(&roles)?.iter().map(|role| role.parse()).collect();
        Ok(Some(Invitation {
            email: email.map(Email::from_stored),
            roles: Result::<Vec<Role>, _>::map_err(roles, |_| StoreError::Damaged("a role"))?,
            created_at: Timestamp::from_unix_millis(created_at),
            expires_at: Timestamp::from_unix_millis(expires_at),
        }))
    }

    /// Deletes expired invitations, at most [`SWEPT_AT_ONCE`] of them. Returns how many.
    pub async fn forget_invitations(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| Ok(tx.execute(FORGET, params![now.unix_millis(), SWEPT_AT_ONCE])?)).await
    }
}

/// Deletes an invitation because it is used. `false` when another request used it first.
pub(super) fn use_up(tx: &Connection, code: SecretHash) -> rusqlite::Result<bool> {
    Ok(tx.execute(USE, [code.as_bytes()])? == 1)
}
