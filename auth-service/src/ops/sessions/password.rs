//! The password, changed by its owner.

use countermark::verify::Claims;

use super::{Sessions, me::AccountError};
use crate::{
    domain::{
        audit::Event,
        password::{Attempt, InvalidPassword, Password},
        session::Device,
    },
    ops::{
        error::{Fault, Overloaded, TooManyTries, has_faults},
        watch::barrier::Revoked,
    },
    store::accounts::AccountChange,
};

/// A password is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The token is of no account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The token was not minted straight from credentials.
    #[error("the token is not fresh")]
    NotFresh,
    /// The current password is wrong.
    #[error("wrong password")]
    BadCredentials,
    /// The new password can't be chosen.
    #[error(transparent)]
    InvalidPassword(#[from] InvalidPassword),
    /// A limit is reached.
    #[error(transparent)]
    TooManyTries(#[from] TooManyTries),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(ChangePasswordError);

impl Sessions {
    /// Changes the password of the account of a live and fresh access token. The account's other sessions end.
    pub async fn change_password(
        &self,
        claims: &Claims,
        current: Attempt,
        new: Attempt,
        device: &Device,
    ) -> Result<Revoked, ChangePasswordError> {
        let account = self.me(claims)?;
        if claims.fresh != Some(true) {
            return Err(ChangePasswordError::NotFresh);
        }
        let new: Password = new.try_into()?;
        self.take_login(account.email.as_str(), device.address()).await??;
        if !self.hashing.is_right(current, account.password_hash).await?? {
            return Err(ChangePasswordError::BadCredentials);
        }
        self.refund_login(account.email.as_str()).await?;
        let hash = self.hash(new).await??;
        let session = Self::session_of(claims)?;
        let mut why = self.context.audit(Event::PasswordChanged, device);
        (why.account, why.session) = (Some(account.id), Some(session));
        let change = AccountChange::Password(hash);
        Ok(self.end_all(account.id, Some(session), Some(change), why).await?)
    }
}
