//! Rotation of the signing keys. The next key is made in the background and published ahead. It signs when a rotation was
//! started, by age or by an operator, and every verifier can know the key: those that watch have acknowledged the key set,
//! and all others had the time to fetch it.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use countermark::{clock::Timestamp, verify::Kid};

use countermark_service::inert::inert;

use super::{Keys, signing};
use crate::{
    domain::{
        audit::{AuditEntry, Event},
        session::Device,
        signing_key::KeyState,
        watcher::Watcher,
    },
    feed::follow,
    ops::{
        error::{Fault, KeysError, has_faults},
        operator::by_whom,
        watch::barrier::Revoked,
    },
    store::signing_keys::{KeyRevoked, ListedSigningKey},
};

/// The interval at which the states of the keys are checked.
const LOOK: Duration = Duration::from_millis(100);

/// One check of so many also looks for retired keys that can be removed.
const LOOKS_PER_REMOVAL: u32 = 10;

/// A signing key, as an operator sees it.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// The key.
    pub key: ListedSigningKey,
    /// The instant from which it may sign, if it is the next key.
    pub may_sign_at: Timestamp,
    /// The instant at which it is removed, if it is retired.
    pub goes_at: Option<Timestamp>,
}

/// A signing key is not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// No signing key has that name.
    #[error("there is no such key")]
    NoSuchKey,
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(RevokeKeyError);

impl KeyStatus {
    /// Its state.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.key.times.state()
    }
}

impl Keys {
    /// The signing keys, in the order in which they were published.
    pub fn key_statuses(&self) -> Result<Vec<KeyStatus>, Fault> {
        let longest_match = self.context.store.longest_match()?;
        let own = |key: ListedSigningKey| KeyStatus {
            may_sign_at: key.times.may_sign_at(self.context.policy.jwks_max_age),
            goes_at: key.times.goes_at(longest_match),
            key,
        };
        Ok(self.context.store.listed_signing_keys()?.into_iter().map(own).collect())
    }

    /// Starts a rotation, if none is under way. Returns the key that will sign.
    ///
    /// # Errors
    /// [`Fault::Store`] when the database fails. [`Fault::Keys`] when there is no next key, and none can be made.
    pub async fn start_rotation(&self) -> Result<KeyStatus, Fault> {
        let next = self.next_key("for an operator").await?;
        let why = self.about_key(Event::SigningKeyWanted, by_whom(), &next.key.kid);
        self.context.store.want_signing_key(next.key.kid.clone(), self.context.clock.now(), why).await?;
        Ok(next)
    }

    /// The names of the watchers that have not acknowledged the current key set. A rotation waits for them.
    pub fn watchers_without_the_keys(&self) -> Result<Vec<String>, Fault> {
        self.catch_up_with_signing_keys()?;
        let version = &self.published().version;
        let lacking = self.watch.watchers()?.into_iter().filter(|watcher| watcher.lacks(version));
        Ok(lacking.map(|watcher| watcher.who.name).collect())
    }

    /// Whether that key signs or has signed, or is gone. Only a running service rotates: its settings say for how long
    /// verifiers may keep a key set.
    pub fn has_rotated_to(&self, kid: &Kid) -> Result<bool, Fault> {
        let keys = self.context.store.listed_signing_keys()?;
        Ok(keys.iter().find(|key| key.kid == *kid).is_none_or(|key| key.times.active_at.is_some()))
    }

    /// Removes a key at once, and revokes every token that it signed. If it is the key that signs, another key signs from
    /// now on, even if some verifier does not know that key yet.
    ///
    /// # Errors
    /// [`RevokeKeyError::NoSuchKey`] when no key has that name.
    pub async fn revoke_signing_key(&self, kid: &Kid) -> Result<Revoked, RevokeKeyError> {
        loop {
            let why = self.about_key(Event::SigningKeyRevoked, by_whom(), kid);
            match self.context.store.revoke_signing_key(kid.clone(), self.context.clock.now(), why).await? {
                KeyRevoked::Done(entry) => {
                    self.catch_up_with_signing_keys()?;
                    return Ok(self.context.applied(&[entry])?);
                }
                KeyRevoked::Unknown => return Err(RevokeKeyError::NoSuchKey),
                KeyRevoked::NoOther => drop(self.next_key("in place of a revoked one").await?),
            }
        }
    }

    /// Reads the signing keys again if another process has changed them.
    pub fn catch_up_with_signing_keys(&self) -> Result<(), KeysError> {
        let listed = self.context.store.listed_signing_keys()?;
        if **self.listed.load() == listed {
            return Ok(());
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.context.store.signing_keys()?;
        let (opened, active) =
            signing::opened(&keys, &self.material.sealing.load(), |kid| self.material.ring.key(kid))?;
        self.material.ring.replace(opened, active)?;
        let listed =
            keys.into_iter().map(|key| ListedSigningKey { kid: key.kid, times: key.times }).collect();
        self.listed.store(Arc::new(listed));
        Ok(())
    }

    /// Follows the signing keys of the database, and takes the steps that are due, until the returned future is dropped.
    pub async fn keep_signing_keys(&self) {
        let tending = async {
            let (mut is_failing, mut looks) = (false, 0_u32);
            loop {
                tokio::time::sleep(LOOK).await;
                let mut outcome = self.tend_signing_keys().await;
                looks = looks.wrapping_add(1);
                if outcome.is_ok() && looks.is_multiple_of(LOOKS_PER_REMOVAL) {
                    outcome = self.remove_retired(&self.listed.load_full()).await;
                }
                if let Err(error) = &outcome
                    && !is_failing
                {
                    tracing::error!(%error, "the signing keys can't be rotated");
                }
                is_failing = outcome.is_err();
            }
        };
        tokio::join!(follow("the signing keys", || self.catch_up_with_signing_keys()), tending);
    }

    /// Takes the step that is due: makes the next key, starts a rotation by age, or finishes one.
    async fn tend_signing_keys(&self) -> Result<(), Fault> {
        self.catch_up_with_signing_keys()?;
        let keys = self.listed.load_full();
        let of = |state| keys.iter().find(move |key: &&ListedSigningKey| key.times.state() == state);
        let now = self.context.clock.now();
        let (Some(active), Some(next)) = (of(KeyState::Active), of(KeyState::Next)) else {
            return self.next_key("ahead of its time").await.map(drop);
        };
        if next.times.wanted_at.is_some() {
            self.rotate_if_all_know(active, next, now).await?;
        } else if active.times.is_aged(self.context.policy.key_max_age, now) {
            let why = self.about_key(Event::SigningKeyWanted, "by age", &next.kid);
            self.context.store.want_signing_key(next.kid.clone(), now, why).await?;
        }
        Ok(())
    }

    async fn rotate_if_all_know(
        &self,
        active: &ListedSigningKey,
        next: &ListedSigningKey,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let version = &self.published().version;
        let may_sign_at = next.times.may_sign_at(self.context.policy.jwks_max_age);
        if now < may_sign_at {
            self.forget_held_up();
            return Ok(());
        }
        let watchers = self.watch.watchers()?;
        // A watcher that never acknowledges the key set would hold a rotation for ever.
        let is_patient = if watchers.iter().any(|watcher| watcher.lacks(version)) {
            self.held_up_for(&next.kid) < self.context.policy.rotation_patience
        } else {
            self.forget_held_up();
            true
        };
        // For a key of another algorithm, those that can't verify it are waited for however long it takes. Those that can't
        // verify the algorithm in use verify nothing, and lose nothing.
        let is_new = next.algorithm() != active.algorithm();
        let holds_up = |watcher: &Watcher| {
            is_new && watcher.is_ignorant_of(next.algorithm()) || is_patient && watcher.lacks(version)
        };
        if watchers.iter().any(holds_up) {
            return Ok(());
        }
        for Watcher { who, .. } in watchers.iter().filter(|watcher| watcher.lacks(version)) {
            tracing::warn!(watcher.name = %inert(&who.name), client.id = %who.client, "a verifier did not acknowledge the key set within AUTH_ROTATION_PATIENCE; the next key signs without it");
        }
        let why = self.about_key(Event::SigningKeyRotated, "signs from now on", &next.kid);
        if self.context.store.rotate_signing_key(active.kid.clone(), next.kid.clone(), now, why).await? {
            tracing::info!(kid = %next.kid, "another key signs");
        }
        Ok(self.catch_up_with_signing_keys()?)
    }

    /// The time for which watchers alone hold up this next key, as this process has seen it. A wall clock that is set ahead would
    /// end the patience at once.
    fn held_up_for(&self, kid: &Kid) -> Duration {
        let now = self.context.clock.monotonic();
        let mut held_up = self.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held_up {
            Some((held, since)) if held == kid => now.saturating_sub(*since),
            _ => {
                *held_up = Some((kid.clone(), now));
                Duration::ZERO
            }
        }
    }

    fn forget_held_up(&self) {
        *self.held_up.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Removes the retired keys whose tokens are dead for certain.
    async fn remove_retired(&self, keys: &[ListedSigningKey]) -> Result<(), Fault> {
        if keys.iter().all(|key| key.times.retired_at.is_none()) {
            return Ok(());
        }
        let Some(now) = self.context.certain_now()? else { return Ok(()) };
        for key in keys.iter().filter(|key| key.times.retired_at.is_some_and(|at| at <= now)) {
            let why = self.about_key(Event::SigningKeyGone, "its last token has died", &key.kid);
            self.context.store.forget_signing_key(key.kid.clone(), why).await?;
        }
        Ok(self.catch_up_with_signing_keys()?)
    }

    /// The next key. If there is none, it is made and published.
    async fn next_key(&self, why: &str) -> Result<KeyStatus, Fault> {
        loop {
            if let Some(next) = self.key_statuses()?.into_iter().find(|key| key.state() == KeyState::Next) {
                return Ok(next);
            }
            let key = signing::make(&self.material.sealing.load_full(), &*self.context.random).await?;
            let why = self.about_key(Event::SigningKeyPublished, why, &key.kid);
            self.context.store.add_next_signing_key(key, self.context.clock.now(), why).await?;
            self.catch_up_with_signing_keys()?;
        }
    }

    fn about_key(&self, event: Event, why: &str, kid: &Kid) -> AuditEntry {
        AuditEntry { detail: Some(format!("{why}: {kid}")), ..self.context.audit(event, &Device::default()) }
    }
}
