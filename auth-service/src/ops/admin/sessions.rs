//! Sessions, as an operator sees and ends them: one, those of an account, the old ones, or all.

use std::time::Duration;

use crate::{
    domain::{
        account::AccountId,
        audit::{AuditEntry, Event},
        session::{Device, Session, SessionId},
        session_place::SessionPlace,
        signing_key::KeyState,
    },
    ops::{
        AuthService, Fault, keys::rotation::RevokeKeyError, operator::by_whom, sessions::end::Ended,
        watch::barrier::Revoked,
    },
};

/// How many sessions one transaction ends, when each gets a log entry of its own.
const PORTION: u32 = 250;

/// Sessions that were ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedOld {
    /// How many went on until now.
    pub count: usize,
    /// What has to reach every verifier.
    pub revoked: Revoked,
}

impl AuthService {
    /// At most `limit` live sessions of an account, oldest first, after the place `after`. The place of the last session that
    /// was looked at comes with them, for the next page; `None` at the end.
    pub fn sessions_after(
        &self,
        id: AccountId,
        after: Option<SessionPlace>,
        limit: u32,
    ) -> Result<(Vec<Session>, Option<SessionPlace>), Fault> {
        let now = self.context.clock.now();
        let (mut sessions, last) = self.context.store.sessions_after(id, after, limit)?;
        sessions.retain(|session| session.is_live(now, &self.context.policy.lifetimes));
        Ok((sessions, last))
    }

    /// Ends a session.
    pub async fn revoke_session(&self, id: SessionId) -> Result<Ended, Fault> {
        let session = self.context.store.session(id)?;
        let Some(session) = session.filter(|session| session.revoked_at.is_none()) else {
            return Ok(Ended { was_live: false, revoked: self.sessions.ended_before(id)? });
        };
        let mut why = self.by_operator(Event::SessionRevoked, session.account);
        why.session = Some(id);
        self.sessions.end(id, why).await
    }

    /// Ends all sessions of an account, and revokes its access tokens: one log entry.
    pub async fn revoke_sessions_of(&self, id: AccountId) -> Result<Revoked, Fault> {
        let why = self.by_operator(Event::AccountSessionsRevoked, id);
        self.sessions.end_all(id, None, why).await
    }

    /// Ends every session of every account, and revokes all access tokens, those of programs included: one log entry.
    ///
    /// When the clock was set back, tokens exist whose `iat` is in the future. An entry for them would match tokens that are yet
    /// to be minted. So their signing keys are revoked instead, and a new key signs.
    pub async fn revoke_every_session(&self) -> Result<Revoked, Fault> {
        let (store, clock) = (&self.context.store, &self.context.clock);
        if store.is_clock_set_back(clock.now())? {
            self.revoke_keys_that_signed().await?;
        }
        let why = self.operation(Event::AllSessionsRevoked, by_whom().to_owned());
        let entry = store.end_every_session(clock.now(), why).await?;
        Ok(self.context.applied(&[entry])?)
    }

    /// Revokes all keys of refresh tokens, ends every session, and revokes all access tokens. When the clock was set back, the
    /// signing keys are revoked, too, as in [`revoke_every_session`](Self::revoke_every_session).
    pub async fn revoke_refresh_keys(&self) -> Result<Revoked, Fault> {
        if self.context.store.is_clock_set_back(self.context.clock.now())? {
            self.revoke_keys_that_signed().await?;
        }
        self.keys.revoke_refresh_keys().await
    }

    /// Ends the sessions that began longer ago than `age`, in portions, so that nobody waits for many.
    pub async fn revoke_sessions_older_than(&self, age: Duration) -> Result<EndedOld, Fault> {
        let (store, clock) = (&self.context.store, &self.context.clock);
        let before = clock.now().before(age);
        let why = format!("{}: those that began before {before}", by_whom());
        store.add_audit(self.operation(Event::OldSessionsRevoked, why)).await?;
        let mut old = EndedOld { count: 0, revoked: self.watch.revoked_so_far()? };
        let mut after = None;
        loop {
            let ids = store.sessions_before(before, after, PORTION)?;
            let Some(&last) = ids.last() else { return Ok(old) };
            let ended = store.end_some(ids, clock.now()).await?;
            old.count += ended.count;
            old.revoked = self.context.applied(&ended.entries)?;
            after = Some(last);
        }
    }

    async fn revoke_keys_that_signed(&self) -> Result<(), Fault> {
        for key in self.keys.key_statuses()?.into_iter().filter(|key| key.state() != KeyState::Next) {
            match self.keys.revoke_signing_key(&key.key.kid).await {
                // Another operator was faster.
                Ok(_) | Err(RevokeKeyError::NoSuchKey) => {}
                Err(RevokeKeyError::Fault(fault)) => return Err(fault),
            }
        }
        Ok(())
    }

    fn operation(&self, event: Event, detail: String) -> AuditEntry {
        AuditEntry { detail: Some(detail), ..self.context.audit(event, &Device::default()) }
    }
}
