//! Applies the bootstrap file: the database is made to hold what it declares. Applying it again changes nothing, and
//! nothing is removed.

use countermark::verify::Audience;

use crate::{
    config::bootstrap::Bootstrap,
    domain::{audience::is_built_in, client::ClientId},
    ops::{
        AuthService,
        error::{Fault, NotRegistered, Overloaded, has_faults},
        sessions::register::NotAddedError,
    },
    store::audiences::ScopeTaken,
};

/// The bootstrap file can't be applied.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// An audience that is registered owns a scope that the file gives to another.
    #[error(transparent)]
    Scope(#[from] ScopeTaken),
    /// A client names a scope or an audience that neither the file nor the database has.
    #[error("the client {0}: {1}")]
    NotRegistered(ClientId, NotRegistered),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(BootstrapError);

impl AuthService {
    /// Makes audiences and clients match the file, and adds the accounts that don't exist.
    pub async fn apply(&self, bootstrap: Bootstrap) -> Result<(), BootstrapError> {
        self.check_names(&bootstrap)?;
        let store = &self.context.store;
        for audience in bootstrap.audiences {
            store.put_audience(audience, None).await??;
        }
        let now = self.context.clock.now();
        for client in bootstrap.clients {
            store.declare_client(client, now).await?;
        }
        self.context.registry.catch_up()?;
        for account in bootstrap.accounts {
            // Without this look each start would hash each password.
            if store.account_by_email(account.email.as_str())?.is_some() {
                continue;
            }
            let added =
                self.sessions.add_account(account.email, account.password, account.roles, None, None).await?;
            match added {
                // The address is taken when another instance was faster.
                Ok(_) | Err(NotAddedError::EmailTaken | NotAddedError::InvitationUsed) => {}
                Err(NotAddedError::Overloaded) => return Err(Overloaded.into()),
            }
        }
        Ok(())
    }

    /// Checks that each client names scopes and audiences that exist, or are about to. Nothing is written before.
    fn check_names(&self, bootstrap: &Bootstrap) -> Result<(), BootstrapError> {
        self.context.registry.catch_up()?;
        let registry = self.context.registry.now();
        let declared = &bootstrap.audiences;
        let has_scope = |scope: &str| {
            is_built_in(scope)
                || registry.owner(scope).is_some()
                || declared.iter().any(|audience| audience.scopes.contains(scope))
        };
        let has_audience = |id: &Audience| {
            registry.has_audience(id)
                || *id == self.context.issuer_audience()
                || declared.iter().any(|audience| audience.id == *id)
        };
        for client in &bootstrap.clients {
            let unknown = |what| BootstrapError::NotRegistered(client.id.clone(), what);
            if let Some(scope) = client.scopes.iter().find(|scope| !has_scope(scope)) {
                return Err(unknown(NotRegistered::Scope(scope.to_owned())));
            }
            if let Some(id) = client.audiences.iter().find(|id| !has_audience(id)) {
                return Err(unknown(NotRegistered::Audience(id.to_string())));
            }
        }
        Ok(())
    }

    /// The audiences of logins that nobody has registered: their tokens have no scope, and no client may ask about them.
    #[must_use]
    pub fn unregistered_audiences(&self) -> Vec<Audience> {
        let registry = self.context.registry.now();
        self.context.policy.audiences.iter().filter(|id| !registry.has_audience(id)).cloned().collect()
    }
}
