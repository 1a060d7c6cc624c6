//! Sweeping: expired rows are deleted, so that no table grows without end. A deletion can't be undone. So an instant
//! counts as past only when the clock has said so for as long as an access token lives: a clock that was set ahead by
//! mistake, and back, deletes nothing that is still needed.

use std::time::Duration;

use super::{AuthService, Fault, refusals::Refused};
use crate::{
    domain::{audit::AuditEntry, session::Device},
    store::StoreError,
};

/// The pause between two sweeps.
const INTERVAL: Duration = Duration::from_mins(1);

/// Deletes portion after portion until nothing is left, each in a transaction of its own. Others write in between, so
/// that a sweep keeps up with whatever is written, and stops nobody. `forget` returns how many rows it deleted.
async fn portions<F>(mut forget: impl FnMut() -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<usize, StoreError>>,
{
    while forget().await? > 0 {}
    Ok(())
}

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
        self.record_refusals().await?;
        let Some(now) = self.context.certain_now()? else { return Ok(()) };
        let (store, policy) = (&self.context.store, &self.context.policy);
        let lifetimes = &policy.lifetimes;
        let (absolute, idle) = (now.before(lifetimes.absolute), now.before(lifetimes.idle));
        let (vanished, audited) = (now.before(VANISHED_TTL), now.before(policy.audit_ttl));
        portions(|| store.forget_expired(now)).await?;
        self.context.feed.forget_expired(now);
        portions(|| store.forget_tries(now)).await?;
        portions(|| store.forget_tags(absolute)).await?;
        let mut last = None;
        loop {
            last = store.forget_sessions(last, absolute, idle).await?;
            if last.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        portions(|| store.forget_invitations(now)).await?;
        portions(|| store.forget_assertions(now)).await?;
        store.forget_refresh_keys(absolute).await?;
        portions(|| store.forget_watchers(vanished)).await?;
        portions(|| store.forget_audit(audited)).await?;
        Ok(())
    }

    /// Adds an audit entry for each kind of refusal since the last time, all in one transaction.
    ///
    /// # Errors
    /// [`Fault::Store`] when the database fails. Those refusals are recorded the next time.
    pub async fn record_refusals(&self) -> Result<(), Fault> {
        let refusals = self.context.refusals.take();
        let entry = |(refused, count): &(Refused, u64)| {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            AuditEntry {
                account: refused.account,
                client: refused.client.clone(),
                detail: Some(format!("{}: {times} within a minute", refused.what)),
                ..self.context.audit(refused.event, &Device::default())
            }
        };
        let entries: Vec<_> = refusals.iter().map(entry).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let added = self.context.store.add_audits(entries).await;
        if added.is_err() {
            for (refused, count) in refusals {
                self.context.refusals.add(refused, count);
            }
        }
        Ok(added?)
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
