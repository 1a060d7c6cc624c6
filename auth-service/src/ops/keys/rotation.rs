//! Rotation of the signing keys. The next key is always published ahead, made in the background; it signs when a rotation
//! was started, by age or by hand, and every verifier can know it: those that watch have acknowledged it, and all others
//! had the time to fetch it.

use std::{sync::Arc, time::Duration};

use countermark::{clock::Timestamp, verify::Kid};

use crate::ops::{
    AuthService, Error,
    keys::signing::{self, KeysError},
    watch::barrier::Revoked,
};
use crate::{
    domain::{
        audit::{AuditEntry, Event},
        session::Device,
        signing_key::KeyState,
    },
    feed::follow,
    store::signing_keys::{KeyRevoked, ListedSigningKey},
};

/// How often is looked for what is to be done.
const LOOK: Duration = Duration::from_millis(100);

/// In one look of so many is also looked for retired keys that may go.
const LOOKS_PER_REMOVAL: u32 = 10;

/// A signing key, as an operator sees it.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// The key.
    pub key: ListedSigningKey,
    /// From when on it may sign, when it is the next.
    pub may_sign_at: Timestamp,
    /// When it goes, when it is retired.
    pub goes_at: Option<Timestamp>,
}

impl KeyStatus {
    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.key.times.state()
    }
}

impl AuthService {
    /// The signing keys, in the order in which they were published.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn key_statuses(&self) -> Result<Vec<KeyStatus>, Error> {
        let longest_match = self.store.longest_match()?;
        let own = |key: ListedSigningKey| KeyStatus {
            may_sign_at: key.times.may_sign_at(self.policy.jwks_max_age),
            goes_at: key.times.goes_at(longest_match),
            key,
        };
        Ok(self.store.listed_signing_keys()?.into_iter().map(own).collect())
    }

    /// Starts a rotation, if none is under way; answers the key that will sign.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; [`Error::Keys`] when there is no next key, and none can be made.
    pub async fn start_rotation(&self) -> Result<KeyStatus, Error> {
        let next = self.next_key("for an operator").await?;
        let why = self.about_key(Event::SigningKeyWanted, "by an operator", &next.key.kid);
        self.store.want_signing_key(next.key.kid.clone(), self.clock.now(), why).await?;
        Ok(next)
    }

    /// The names of those that watch and have not acknowledged the key set of now, which a rotation waits for.
    ///
    /// # Errors
    /// [`Error`] when the database fails, or a key can't be opened.
    pub fn watchers_without_the_keys(&self) -> Result<Vec<String>, Error> {
        self.catch_up_with_signing_keys()?;
        let version = &self.published_keys().version;
        let lacking = self.watchers()?.into_iter().filter(|watcher| watcher.lacks(version));
        Ok(lacking.map(|watcher| watcher.who.name).collect())
    }

    /// Whether that key has come to sign, or is gone. Only a running service rotates: it knows for how long verifiers were told
    /// that they may keep its key set.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub fn has_rotated_to(&self, kid: &Kid) -> Result<bool, Error> {
        let keys = self.store.listed_signing_keys()?;
        Ok(keys.iter().find(|key| key.kid == *kid).is_none_or(|key| key.times.active_at.is_some()))
    }

    /// Takes a key away at once, and revokes every token that it signed. When it is the one that signs, another does from
    /// now on, whether or not all verifiers know that yet.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`] when there is none of that name.
    pub async fn revoke_signing_key(&self, kid: &Kid) -> Result<Revoked, Error> {
        loop {
            let why = self.about_key(Event::SigningKeyRevoked, "by an operator", kid);
            match self.store.revoke_signing_key(kid.clone(), self.clock.now(), why).await? {
                KeyRevoked::Done(entry) => {
                    self.catch_up_with_signing_keys()?;
                    return self.applied(&[entry]);
                }
                KeyRevoked::Unknown => return Err(Error::NoSuchKey),
                KeyRevoked::NoOther => drop(self.next_key("in place of a revoked one").await?),
            }
        }
    }

    /// Takes up what others did to the signing keys.
    ///
    /// # Errors
    /// [`KeysError`] when they can't be had.
    pub fn catch_up_with_signing_keys(&self) -> Result<(), KeysError> {
        let listed = self.store.listed_signing_keys()?;
        if **self.signing_keys.load() == listed {
            return Ok(());
        }
        let _reading = self.reading_keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let keys = self.store.signing_keys()?;
        let (opened, active) =
            signing::opened(&keys, &self.keys.sealing.load(), |kid| self.keys.ring.key(kid))?;
        self.keys.ring.replace(opened, active)?;
        let listed =
            keys.into_iter().map(|key| ListedSigningKey { kid: key.kid, times: key.times }).collect();
        self.signing_keys.store(Arc::new(listed));
        Ok(())
    }

    /// Follows what others do to the signing keys, and does what is due, until the returned future is dropped.
    pub async fn keep_signing_keys(&self) {
        let tending = async {
            let (mut is_failing, mut looks) = (false, 0_u32);
            loop {
                tokio::time::sleep(LOOK).await;
                let mut outcome = self.tend_signing_keys().await;
                looks = looks.wrapping_add(1);
                if outcome.is_ok() && looks.is_multiple_of(LOOKS_PER_REMOVAL) {
                    outcome = self.remove_retired(&self.signing_keys.load_full()).await;
                }
                if let Err(error) = &outcome
                    && !is_failing
                {
                    tracing::error!(%error, "the signing keys can't be looked after");
                }
                is_failing = outcome.is_err();
            }
        };
        tokio::join!(follow("the signing keys", || self.catch_up_with_signing_keys()), tending);
    }

    /// Does what is due: makes the next key, starts a rotation by age, lets one go through.
    async fn tend_signing_keys(&self) -> Result<(), Error> {
        self.catch_up_with_signing_keys()?;
        let keys = self.signing_keys.load_full();
        let of = |state| keys.iter().find(move |key: &&ListedSigningKey| key.times.state() == state);
        let now = self.clock.now();
        let (Some(active), Some(next)) = (of(KeyState::Active), of(KeyState::Next)) else {
            return self.next_key("ahead of its time").await.map(drop);
        };
        if next.times.wanted_at.is_some() {
            self.rotate_if_all_know(active, next, now).await?;
        } else if active.times.is_aged(self.policy.key_max_age, now) {
            let why = self.about_key(Event::SigningKeyWanted, "by age", &next.kid);
            self.store.want_signing_key(next.kid.clone(), now, why).await?;
        }
        Ok(())
    }

    async fn rotate_if_all_know(
        &self,
        active: &ListedSigningKey,
        next: &ListedSigningKey,
        now: Timestamp,
    ) -> Result<(), Error> {
        let version = &self.published_keys().version;
        let may_sign_at = next.times.may_sign_at(self.policy.jwks_max_age);
        if now < may_sign_at || self.watchers()?.iter().any(|watcher| watcher.lacks(version)) {
            return Ok(());
        }
        let why = self.about_key(Event::SigningKeyRotated, "signs from now on", &next.kid);
        if self.store.rotate_signing_key(active.kid.clone(), next.kid.clone(), now, why).await? {
            tracing::info!(kid = %next.kid, "another key signs");
        }
        Ok(self.catch_up_with_signing_keys()?)
    }

    /// A retired key goes when its retirement lies as far back, by a clock that is beyond doubt, as a token may live.
    async fn remove_retired(&self, keys: &[ListedSigningKey]) -> Result<(), Error> {
        if keys.iter().all(|key| key.times.retired_at.is_none()) {
            return Ok(());
        }
        let Some(settled) = self.settled_time()? else { return Ok(()) };
        for key in keys.iter().filter(|key| key.times.retired_at.is_some_and(|at| at <= settled)) {
            let why = self.about_key(Event::SigningKeyGone, "its last token has died", &key.kid);
            self.store.forget_signing_key(key.kid.clone(), why).await?;
        }
        Ok(self.catch_up_with_signing_keys()?)
    }

    /// The next key, made and published first when there is none.
    async fn next_key(&self, why: &str) -> Result<KeyStatus, Error> {
        loop {
            if let Some(next) = self.key_statuses()?.into_iter().find(|key| key.state() == KeyState::Next) {
                return Ok(next);
            }
            let key = signing::make(&self.keys.sealing.load_full(), &*self.random).await?;
            let why = self.about_key(Event::SigningKeyPublished, why, &key.kid);
            self.store.add_next_signing_key(key, self.clock.now(), why).await?;
            self.catch_up_with_signing_keys()?;
        }
    }

    fn about_key(&self, event: Event, why: &str, kid: &Kid) -> AuditEntry {
        AuditEntry { detail: Some(format!("{why}: {kid}")), ..self.audit(event, &Device::default()) }
    }
}
