//! The operations: all that the service can do, in five parts. An interface parses, makes one call here, and maps the
//! answer. There is no status code here, and no rule in an interface.
//!
//! - [`sessions`] — accounts log in, refresh and log out
//! - [`tokens`] — access tokens are minted and introspected
//! - [`oauth`] — the part `clients`: programs authenticate and get tokens
//! - [`keys`] — keys are rotated, replaced and sealed
//! - [`watch`] — verifiers follow the revocation log
//! - [`admin`] — what an operator does, with the parts above
//! - [`context`] — the handles that the parts share
//!
//! Each part has its own fields, its own errors and its own tests. No part touches another's fields. The parts call one
//! another in one direction: `sessions` and `clients` → `tokens` → `keys` → `watch`. An operation that needs two parts
//! which don't call one another stands on [`AuthService`].

pub mod admin;
pub mod caller;
pub mod context;
pub mod error;
pub mod keys;
pub mod oauth;
mod operator;
mod refusals;
pub mod sessions;
pub mod sweep;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod watch;

use std::sync::Arc;

use countermark::verify::{Issuer, REFRESH_TOKEN_PREFIX};
use countermark_service::database::Database;

use crate::{
    config::issuer_path,
    domain::{client::ClientId, session::Device, went_back::WentBack},
    feed::{follow, watchers::Watchers},
    keys::KeyMaterial,
};

pub use context::Context;
pub use error::Fault;
use error::RevokeError;
use keys::Keys;
use oauth::Clients;
use sessions::Sessions;
use tokens::Tokens;
use watch::Watch;

/// All that the service can do. The interfaces share one.
#[derive(Debug)]
pub struct AuthService {
    /// Accounts log in, refresh and log out.
    pub sessions: Sessions,
    /// Access tokens are minted and introspected.
    pub tokens: Arc<Tokens>,
    /// Programs authenticate and get tokens.
    pub clients: Clients,
    /// Keys are rotated, replaced and sealed.
    pub keys: Arc<Keys>,
    /// Verifiers follow the revocation log.
    pub watch: Arc<Watch>,
    context: Context,
}

impl AuthService {
    /// Puts the parts together.
    #[must_use]
    pub fn new(context: Context, material: KeyMaterial, watchers: Watchers) -> Self {
        let positions = material.positions.clone();
        let watch = Arc::new(Watch::new(context.clone(), Arc::clone(&material.ring), watchers, positions));
        let keys = Arc::new(Keys::new(context.clone(), material, Arc::clone(&watch)));
        let tokens = Arc::new(Tokens::new(context.clone(), Arc::clone(&keys)));
        Self {
            sessions: Sessions::new(context.clone(), Arc::clone(&keys), Arc::clone(&tokens)),
            clients: Clients::new(context.clone(), Arc::clone(&tokens)),
            tokens,
            keys,
            watch,
            context,
        }
    }

    /// The issuer's name: `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.context.policy.issuer
    }

    /// The path of the issuer's URL, below which clients find the routes. Empty for the root.
    #[must_use]
    pub fn issuer_path(&self) -> &str {
        issuer_path(self.issuer().as_str())
    }

    /// The engine of the database, for its metrics.
    #[must_use]
    pub fn database(&self) -> &Database {
        self.context.store.database()
    }

    /// Whether the service can do its work.
    pub fn health(&self) -> Result<(), Fault> {
        Ok(self.context.store.health()?)
    }

    /// Why the database is known to have lost writes, if it is.
    #[must_use]
    pub fn went_back(&self) -> Option<WentBack> {
        self.context.store.went_back()
    }

    /// Whether the mark outside the database could not be written last.
    #[must_use]
    pub fn is_mark_failing(&self) -> bool {
        self.context.store.mark_file().is_some_and(|mark| mark.is_failing())
    }

    /// Revokes a token of `client` (RFC 7009): a refresh token with its session, an access token alone. A token that is dead, is
    /// another client's, or is no token at all stays as it is, and nobody learns which.
    ///
    /// # Errors
    /// [`RevokeError`] when there were too many revocations, or the service fails. Nothing is revoked then.
    pub async fn revoke_token(
        &self,
        client: &ClientId,
        token: &str,
        device: &Device,
    ) -> Result<(), RevokeError> {
        if token.starts_with(REFRESH_TOKEN_PREFIX) {
            self.sessions.revoke_refresh_token(client, token, device).await
        } else {
            self.clients.revoke_access_token(client, token, device).await
        }
    }

    /// Keeps what is held in memory current with what other processes write, and sweeps, until the returned future is
    /// dropped. The program that runs the service runs it.
    pub async fn keep_current(&self) {
        tokio::join!(
            follow("the revocation log", || self.context.feed.catch_up()),
            follow("the registry", || self.context.registry.catch_up()),
            follow("the keys of refresh tokens", || self.keys.catch_up_with_refresh_keys()),
            self.sweep_repeatedly(),
            self.watch.keep_watchers(),
            self.keys.keep_signing_keys(),
            self.keys.keep_master_key(),
        );
    }
}
