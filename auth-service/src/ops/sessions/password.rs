//! The password, changed by its owner.

use countermark::verify::Claims;

use super::{Sessions, me::AccountError};
use crate::{
    domain::{
        audit::Event,
        password::{Attempt, InvalidPassword, Match, Password, Weakness},
        session::Device,
    },
    ops::{
        error::{Fault, Overloaded, TooManyTries, has_faults},
        watch::barrier::Revoked,
    },
    store::end_sessions::PasswordChange,
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
    /// Somebody would guess the new password.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// The new password is the current one.
    #[error("the new password is the current one")]
    Unchanged,
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
    ///
    /// The password is replaced if it is still the one that was checked, and if the session still goes on. Somebody else may
    /// have changed it meanwhile: then the current password is checked again, against the new hash.
    pub async fn change_password(
        &self,
        claims: &Claims,
        current: Attempt,
        new: Attempt,
        device: &Device,
    ) -> Result<Revoked, ChangePasswordError> {
        let mut account = self.me(claims)?;
        if claims.fresh != Some(true) {
            return Err(ChangePasswordError::NotFresh);
        }
        let new: Password = new.try_into()?;
        self.refuse_weak(&new, account.email.as_str())?;
        self.take_login(account.email.as_str(), device.address()).await??;
        loop {
            let checked = account.password_hash.clone();
            if self.hashing.is_right(current.clone(), checked.clone()).await?? == Match::No {
                return Err(ChangePasswordError::BadCredentials);
            }
            if new.is(&current) {
                return Err(ChangePasswordError::Unchanged);
            }
            let hash = self.hash(new.clone()).await??;
            let session = Self::session_of(claims)?;
            let change = PasswordChange { account: account.id, checked, hash, session };
            if let Some(revoked) = self.replace(change, device).await? {
                self.refund_login(account.email.as_str()).await?;
                return Ok(revoked);
            }
            account = self.me(claims)?;
        }
    }

    /// `None` when the account or the session has changed since the password was checked.
    async fn replace(&self, change: PasswordChange, device: &Device) -> Result<Option<Revoked>, Fault> {
        let mut why = self.context.audit(Event::PasswordChanged, device);
        (why.account, why.session) = (Some(change.account), Some(change.session));
        let account = Some(change.account);
        let ended = self.context.store.change_password(change, self.context.clock.now(), why).await?;
        Ok(ended
            .map(|entries| self.context.applied(&entries))
            .transpose()?
            .map(|revoked| revoked.of(account)))
    }
}
