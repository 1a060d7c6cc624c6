//! Sweeping: expired rows are deleted, so that no table grows without end. A deletion can't be undone. So an instant
//! counts as past only when the clock has said so for as long as an access token lives: a clock that was set ahead by
//! mistake, and back, deletes nothing that is still needed.

use std::time::Duration;

use super::{AuthService, Fault};

/// The pause between two sweeps.
const INTERVAL: Duration = Duration::from_mins(1);

/// For how long a watcher that has vanished is remembered.
const VANISHED_TTL: Duration = Duration::from_hours(24);

impl AuthService {
    /// Deletes what has expired: revocations that no living token can match, forgotten tries, sessions past their end,
    /// unused invitations, spent assertions, watchers that vanished long ago, old audit entries, and keys whose last
    /// refresh token has died.
    ///
    /// # Errors
    /// [`Fault::Store`] when the database fails. The next sweep deletes the rest.
    pub async fn sweep(&self) -> Result<(), Fault> {
        let Some(now) = self.context.certain_now()? else { return Ok(()) };
        let (store, policy) = (&self.context.store, &self.context.policy);
        self.context.feed.forget(&store.forget_expired(now).await?);
        store.forget_tries(now).await?;
        let lifetimes = &policy.lifetimes;
        store.forget_sessions(now.before(lifetimes.absolute), now.before(lifetimes.idle)).await?;
        store.forget_invitations(now).await?;
        store.forget_assertions(now).await?;
        store.forget_refresh_keys(now.before(lifetimes.absolute)).await?;
        store.forget_watchers(now.before(VANISHED_TTL)).await?;
        store.forget_audit(now.before(policy.audit_ttl)).await?;
        Ok(())
    }

    /// Sweeps at an interval until the returned future is dropped.
    pub async fn sweep_repeatedly(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "not everything was swept");
            }
        }
    }
}
