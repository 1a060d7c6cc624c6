//! Sweeping: what has expired is taken away, so that no table grows without end. Since it can't be undone it waits until the
//! clock is beyond doubt: one that was set ahead by mistake, and back, takes nothing away that is needed still.

use std::{sync::PoisonError, time::Duration};

use countermark::clock::Timestamp;

use crate::ops::{AuthService, Error};

/// How often.
const INTERVAL: Duration = Duration::from_mins(1);

/// How long a watcher that has vanished is remembered.
const VANISHED_TTL: Duration = Duration::from_hours(24);

impl AuthService {
    /// Takes away what has expired: revocations that no living token can match, forgotten tries, sessions that came to
    /// their end, invitations that nobody used, spent assertions, watchers that vanished long ago, old audit entries, keys
    /// whose last refresh token has died. What expires is gone when the clock has said so for as long as an access token
    /// lives.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; the rest is swept the next time.
    pub async fn sweep(&self) -> Result<(), Error> {
        let Some(now) = self.settled_time()? else { return Ok(()) };
        self.feed.forget(&self.store.forget_expired(now).await?);
        self.store.forget_tries(now).await?;
        let lifetimes = &self.policy.lifetimes;
        self.store.forget_sessions(now.before(lifetimes.absolute), now.before(lifetimes.idle)).await?;
        self.store.forget_invitations(now).await?;
        self.store.forget_assertions(now).await?;
        self.store.forget_refresh_keys(now.before(lifetimes.absolute)).await?;
        self.store.forget_watchers(now.before(VANISHED_TTL)).await?;
        self.store.forget_audit(now.before(self.policy.audit_ttl)).await?;
        Ok(())
    }

    /// What the clock has said for as long as an access token lives, and a minute.
    pub(in crate::ops) fn settled_time(&self) -> Result<Option<Timestamp>, Error> {
        let span = self.store.longest_match()?;
        Ok(self.settled.lock().unwrap_or_else(PoisonError::into_inner).look(&*self.clock, span))
    }

    /// Sweeps again and again until the returned future is dropped.
    pub async fn sweep_again_and_again(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "not everything was swept");
            }
        }
    }
}
