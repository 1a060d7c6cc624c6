//! The password, changed by its owner.

use countermark::verify::Claims;

use crate::domain::{
    audit::Event,
    password::{Attempt, Password},
    session::Device,
};
use crate::ops::{AuthService, Error, watch::barrier::Revoked};

impl AuthService {
    /// Changes the password of the account that a live and fresh access token belongs to. Its other sessions end.
    ///
    /// # Errors
    /// [`Error::NotFresh`] when the token is not fresh; [`Error::BadCredentials`] when the current password is wrong;
    /// [`Error::InvalidPassword`] when the new one can't be.
    pub async fn change_password(
        &self,
        claims: &Claims,
        current: Attempt,
        new: Attempt,
        device: &Device,
    ) -> Result<Revoked, Error> {
        let account = self.me(claims)?;
        if claims.fresh != Some(true) {
            return Err(Error::NotFresh);
        }
        let new: Password = new.try_into()?;
        self.take_login(account.email.as_str(), device.address()).await?;
        if !self.hashing.is_right(current, account.password_hash).await? {
            return Err(Error::BadCredentials);
        }
        self.refund_login(account.email.as_str()).await?;
        let hash = self.hashing.hash(new, self.random.bytes()?).await?;
        let session = Self::session_of(claims)?;
        let mut entry = self.audit(Event::PasswordChanged, device);
        (entry.account, entry.session) = (Some(account.id), Some(session));
        let ended = self.store.set_password(account.id, hash, Some(session), self.clock.now(), entry).await?;
        self.applied(&ended)
    }
}
