//! MintPermit to mint: before a token is made, its `iat` is remembered in the database, so that whoever revokes tokens up to now
//! revokes it too, in whichever process, by whichever clock. What a token says is read after that: so it either has what was
//! decided before, or is revoked by the decision. It costs one write in a second in which tokens are minted at all.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use countermark::{
    clock::Timestamp,
    verify::{Kid, NumericDate},
};
use tokio::sync::Mutex;

use crate::keys::signing_key::SigningKey;
use crate::ops::{AuthService, Error};

/// MintPermit to make tokens of one subject.
#[derive(Clone, Debug)]
pub struct MintPermit {
    /// The key to sign with.
    pub(in crate::ops) key: Arc<SigningKey>,
    /// When they are minted.
    pub(in crate::ops) iat: NumericDate,
}

/// What this process has had remembered.
#[derive(Debug, Default)]
pub(in crate::ops) struct Remembered {
    latest: ArcSwapOption<Latest>,
    /// So that many that come at once write once.
    asking: Mutex<()>,
}

#[derive(Debug)]
struct Latest {
    kid: Kid,
    up_to: NumericDate,
}

impl Remembered {
    fn covers(&self, permit: &MintPermit) -> bool {
        let latest = self.latest.load();
        latest.as_ref().is_some_and(|latest| latest.kid == *permit.key.kid() && permit.iat <= latest.up_to)
    }
}

impl AuthService {
    /// MintPermit to make tokens of that subject and client, now. Whatever they are to say has to be read afterwards.
    ///
    /// # Errors
    /// [`Error::Store`] when it can't be remembered.
    pub async fn mint_permit(
        &self,
        subject: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<MintPermit, Error> {
        loop {
            let permit =
                MintPermit { key: self.keys.ring.active(), iat: self.minted_at(subject, client, now) };
            if self.remembered.covers(&permit) {
                return Ok(permit);
            }
            self.remember(permit).await?;
        }
    }

    /// Now; or the next second after the latest revocation up to an instant, which would match it otherwise. Verifiers
    /// accept an `iat` that is a little ahead.
    fn minted_at(&self, subject: &str, client: &str, now: Timestamp) -> NumericDate {
        let now = NumericDate::from_unix_seconds(now.unix_seconds());
        let revoked = self.revocations().read(|set| set.revoked_up_to(subject, client));
        let next = revoked.map(|at| NumericDate::from_unix_seconds(at.unix_seconds().saturating_add(1)));
        next.map_or(now, |next| next.max(now))
    }

    async fn remember(&self, permit: MintPermit) -> Result<(), Error> {
        let _turn = self.remembered.asking.lock().await;
        if self.remembered.covers(&permit) {
            return Ok(());
        }
        let MintPermit { key, iat } = permit;
        let kid = key.kid().clone();
        if !self.store.remember_minted(kid.clone(), iat).await? {
            // It was revoked meanwhile.
            return Ok(self.catch_up_with_signing_keys()?);
        }
        // Decisions that were written before this don't match what is minted from here on, so they have to be known.
        self.feed.catch_up()?;
        self.registry.catch_up()?;
        self.remembered.latest.store(Some(Arc::new(Latest { kid, up_to: iat })));
        Ok(())
    }
}
