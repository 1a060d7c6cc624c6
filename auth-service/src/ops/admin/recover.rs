//! Recovery: a database that lost writes is made safe to use. The worst is assumed of the lost part: each session may have been
//! rotated, each key revoked, each token minted by somebody else.

use countermark::{
    clock::Timestamp,
    verify::{Kid, LogId},
};

use crate::{
    domain::{audit::Event, session::Device},
    ops::{AuthService, error::Fault, operator::by_whom, watch::barrier::Revoked},
    store::recover::Recovery,
};

/// What a recovery did.
#[derive(Debug)]
pub struct RecoveryReport {
    /// Why it was needed, if that is known.
    pub reason: Option<String>,
    /// How many sessions were ended.
    pub sessions: usize,
    /// The signing keys that were revoked.
    pub kids: Vec<Kid>,
    /// The key that signs from now on.
    pub signs: Kid,
    /// The instant up to which all tokens are revoked.
    pub everything_before: Timestamp,
    /// The last entry of the new log.
    pub revoked: Revoked,
}

impl AuthService {
    /// Ends every session, replaces and revokes every key, revokes all tokens, and begins a new revocation log: one
    /// transaction.
    pub async fn recover(&self) -> Result<RecoveryReport, Fault> {
        let store = &self.context.store;
        let mark = store.mark_file().map(|mark| mark.read()).transpose();
        let mark = mark.unwrap_or_else(|error| {
            tracing::warn!(%error, "the mark can't be read: what it knows of keys is not used");
            None
        });
        let reason = store.went_back().or(store.compare_with_mark()?).map(|found| found.reason);
        let now = self.context.clock.now();
        let keys = self.keys.replacements(now).await?;
        let mut why = self.context.audit(Event::Recovered, &Device::default());
        why.detail = Some(
            reason.as_ref().map_or_else(|| by_whom().to_owned(), |reason| format!("{}: {reason}", by_whom())),
        );
        let signs = keys.signing.kid.clone();
        let recovery = Recovery {
            log_id: LogId::new(self.context.random.bytes()?),
            signing: keys.signing,
            refresh: keys.refresh,
            mark: mark.flatten(),
            now,
            why,
        };
        let done = store.recover(recovery).await?;
        let revoked = self.context.applied(&done.entries)?;
        self.keys.catch_up_with_signing_keys()?;
        self.keys.catch_up_with_refresh_keys()?;
        Ok(RecoveryReport {
            reason,
            sessions: done.sessions,
            kids: done.kids,
            signs,
            everything_before: Timestamp::from_unix_seconds(done.everything_before.unix_seconds()),
            revoked,
        })
    }
}
