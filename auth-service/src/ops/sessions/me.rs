//! The account that a token belongs to.

use countermark::verify::{Claims, Opaque};

use super::Sessions;
use crate::{
    domain::{
        account::{Account, AccountId},
        client::ClientId,
        session::SessionId,
    },
    ops::error::{Fault, has_faults},
};

/// A token is of no account that could ask.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// It is a service token.
    #[error("a service token where a user's is needed")]
    NotAUser,
    /// Its account is disabled or deleted, or its session is over.
    #[error("the token's account is no more")]
    Gone,
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(AccountError);

impl Sessions {
    /// The account of a verified first-party token whose session goes on.
    pub fn me(&self, claims: &Claims) -> Result<Account, AccountError> {
        let session = Self::session_of(claims)?;
        let account: AccountId = claims.sub.as_str().parse().map_err(|_| AccountError::Gone)?;
        let store = &self.context.store;
        store
            .session(session)?
            .filter(|session| session.account == account && session.revoked_at.is_none())
            .ok_or(AccountError::Gone)?;
        store.account(account)?.filter(Account::is_enabled).ok_or(AccountError::Gone)
    }

    /// The session of a first-party token.
    pub(super) fn session_of(claims: &Claims) -> Result<SessionId, AccountError> {
        let client = claims.client_id.as_ref().map(Opaque::as_str);
        if client != Some(ClientId::first_party().as_str()) {
            return Err(AccountError::NotAUser);
        }
        let sid = claims.sid.as_ref().ok_or(AccountError::NotAUser)?;
        sid.as_str().parse().map_err(|_| AccountError::Gone)
    }
}
