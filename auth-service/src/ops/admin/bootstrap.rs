//! Applies the bootstrap file: the database is made to hold what it declares. Idempotent; nothing is removed.

use crate::ops::{AuthService, Error};
use crate::{config::bootstrap::Bootstrap, store::audiences::ScopeTaken};

/// The bootstrap file can't be applied.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// What it declares does not fit what is registered.
    #[error(transparent)]
    Scope(#[from] ScopeTaken),
    /// The service fails.
    #[error(transparent)]
    Service(#[from] Error),
}

impl AuthService {
    /// Audiences and clients are made to match; an account that exists is left untouched.
    ///
    /// # Errors
    /// [`BootstrapError`] when the file claims another audience's scope, or the service fails.
    pub async fn apply(&self, bootstrap: Bootstrap) -> Result<(), BootstrapError> {
        for audience in bootstrap.audiences {
            self.store.put_audience(audience, None).await.map_err(Error::from)??;
        }
        let now = self.clock.now();
        for client in bootstrap.clients {
            self.store.declare_client(client, now).await.map_err(Error::from)?;
        }
        self.registry.catch_up().map_err(Error::from)?;
        for account in bootstrap.accounts {
            // Looked for first, for hashing takes its time at every start otherwise.
            if self.store.account_by_email(&account.email).map_err(Error::from)?.is_some() {
                continue;
            }
            match self.add_account(account.email, account.password, account.roles, None, None).await {
                // Another instance was faster.
                Ok(_) | Err(Error::EmailTaken) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
