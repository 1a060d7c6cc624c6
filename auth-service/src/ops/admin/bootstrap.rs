//! Applies the bootstrap file: the database is made to hold what it declares. Applying it again changes nothing, and
//! nothing is removed.

use crate::{
    config::bootstrap::Bootstrap,
    ops::{
        AuthService,
        error::{Fault, Overloaded, has_faults},
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
            if store.account_by_email(&account.email)?.is_some() {
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
}
