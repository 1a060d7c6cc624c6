//! Invitations, as an operator makes them.

use std::time::Duration;

use crate::{
    domain::{
        account::{Email, Role},
        audit::Event,
        invitation::{Invitation, PREFIX},
        secret::Secret,
        session::Device,
    },
    ops::{
        AuthService,
        error::{EmailTaken, Fault, has_faults},
        operator::by_whom,
    },
};

/// An invitation is not made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// There is an account with the address.
    #[error(transparent)]
    EmailTaken(#[from] EmailTaken),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(InviteError);

impl AuthService {
    /// Makes an invitation that works once, within `ttl`. Its code can't be shown again.
    pub async fn invite(
        &self,
        email: Option<Email>,
        roles: Vec<Role>,
        ttl: Duration,
    ) -> Result<(Secret, Invitation), InviteError> {
        if let Some(email) = &email
            && self.context.store.account_by_email(email.as_str())?.is_some()
        {
            return Err(EmailTaken.into());
        }
        let now = self.context.clock.now();
        let code = Secret::random(PREFIX, &*self.context.random)?;
        let mut why = self.context.audit(Event::Invited, &Device::default());
        let whom = email.as_ref().map_or("anybody", Email::as_str);
        why.detail = Some(format!("{}: {whom}", by_whom()));
        let invitation = Invitation { email, roles, created_at: now, expires_at: now.after(ttl) };
        self.context.store.add_invitation(code.hash(), invitation.clone(), why).await?;
        Ok((code, invitation))
    }
}
