//! The account that a token belongs to.

use countermark::verify::{Claims, Opaque};

use crate::domain::{
    account::{Account, AccountId},
    client::ClientId,
    session::SessionId,
};
use crate::ops::{AuthService, Error};

impl AuthService {
    /// The account of a verified first-party token, whose session goes on.
    ///
    /// # Errors
    /// [`Error::NotAUser`] for a service token; [`Error::AccountGone`] when the account or the session is no more.
    pub fn me(&self, claims: &Claims) -> Result<Account, Error> {
        let session = Self::session_of(claims)?;
        let account: AccountId = claims.sub.as_str().parse().map_err(|_| Error::AccountGone)?;
        self.store
            .session(session)?
            .filter(|session| session.account == account && session.revoked_at.is_none())
            .ok_or(Error::AccountGone)?;
        self.store.account(account)?.filter(Account::is_enabled).ok_or(Error::AccountGone)
    }

    /// The session that a first-party token is of.
    pub(in crate::ops) fn session_of(claims: &Claims) -> Result<SessionId, Error> {
        let client = claims.client_id.as_ref().map(Opaque::as_str);
        if client != Some(ClientId::first_party().as_str()) {
            return Err(Error::NotAUser);
        }
        let sid = claims.sid.as_ref().ok_or(Error::NotAUser)?;
        sid.as_str().parse().map_err(|_| Error::AccountGone)
    }
}
