//! Invitations, as an operator makes them.

use std::time::Duration;

use crate::domain::{
    account::{Email, Role},
    audit::Event,
    invitation::{Invitation, PREFIX},
    secret::Secret,
    session::Device,
};
use crate::ops::{AuthService, Error, admin::accounts::OPERATOR};

impl AuthService {
    /// Makes an invitation that works once, within `ttl`. Its code can't be had again.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] when somebody is invited who has an account.
    pub async fn invite(
        &self,
        email: Option<Email>,
        roles: Vec<Role>,
        ttl: Duration,
    ) -> Result<(Secret, Invitation), Error> {
        if let Some(email) = &email
            && self.store.account_by_email(email)?.is_some()
        {
            return Err(Error::EmailTaken);
        }
        let now = self.clock.now();
        let code = Secret::random(PREFIX, &*self.random)?;
        let mut why = self.audit(Event::Invited, &Device::default());
        let whom = email.as_ref().map_or("anybody", Email::as_str);
        why.detail = Some(format!("{OPERATOR}: {whom}"));
        let invitation = Invitation { email, roles, created_at: now, expires_at: now.after(ttl) };
        self.store.add_invitation(code.hash(), invitation.clone(), why).await?;
        Ok((code, invitation))
    }
}
