//! The part `keys`: keys are made, rotated, replaced, and sealed with another master key; refresh tokens and CSRF values
//! are made with them.
//!
//! It touches the tables of keys and all private keys, by way of `crate::keys`. It asks [`watch`](super::watch) which
//! verifiers hold a key set. It sees no account and no session table.
//!
//! - [`signing`] — the signing keys at start
//! - [`rotation`] — the signing keys while the service runs
//! - [`refresh_keys`] — the keys that refresh tokens are derived from
//! - [`proof_key`] — the key that proves positions of the revocation log
//! - [`reseal`] — all keys move to another master key

pub mod proof_key;
pub mod refresh_keys;
pub mod reseal;
pub mod rotation;
pub mod signing;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::{
    clock::Timestamp,
    verify::{KeySet, Kid},
};
use serde::Serialize;

use super::{
    Context,
    error::{Fault, InvalidGrant},
    watch::Watch,
};
use crate::{
    domain::{refresh_token::Mac, session::Session},
    keys::{KeyMaterial, refresh_keys::AuthenticToken, ring::PublishedKeys, signing_key::SigningKey},
    store::{
        refresh_keys::SealedRefreshKey,
        signing_keys::{ListedSigningKey, NewSigningKey},
    },
};

/// Keys that take the place of all others.
#[derive(Debug)]
pub(in crate::ops) struct Replacements {
    pub(in crate::ops) signing: NewSigningKey,
    pub(in crate::ops) refresh: SealedRefreshKey,
}

/// Keys are rotated, replaced and sealed.
#[derive(Debug)]
pub struct Keys {
    context: Context,
    material: KeyMaterial,
    /// The signing keys in the ring, as they were read last.
    listed: ArcSwap<Vec<ListedSigningKey>>,
    /// Held while they are read, so that an older reading can't replace a newer one.
    reading: Mutex<()>,
    /// The next key that only watchers hold up, and since when, on the monotonic clock.
    held_up: Mutex<Option<(Kid, Duration)>>,
    watch: Arc<Watch>,
}

impl Keys {
    /// Works with `material`, which was read from the database.
    #[must_use]
    pub fn new(context: Context, material: KeyMaterial, watch: Arc<Watch>) -> Self {
        let (listed, reading, held_up) = (ArcSwap::default(), Mutex::default(), Mutex::default());
        Self { context, material, listed, reading, held_up, watch }
    }

    /// Keys that take the place of all others.
    pub(in crate::ops) async fn replacements(&self, now: Timestamp) -> Result<Replacements, Fault> {
        let sealing = self.material.sealing.load_full();
        let signing = signing::make(&sealing, &*self.context.random).await?;
        let versions = self.context.store.refresh_key_versions()?;
        let newest = versions.last().ok_or(Fault::Defect("no key for refresh tokens"))?;
        let version = newest.next().ok_or(Fault::Defect("no version left"))?;
        let refresh = refresh_keys::make(version, now, &sealing.sealer, &*self.context.random)?;
        Ok(Replacements { signing, refresh })
    }

    /// The published keys.
    #[must_use]
    pub fn published(&self) -> Arc<PublishedKeys> {
        self.material.ring.published()
    }

    /// The keys that tokens of this issuer are verified with.
    #[must_use]
    pub fn public(&self) -> Arc<KeySet> {
        self.material.ring.public()
    }

    /// The key that signs.
    pub(in crate::ops) fn active(&self) -> Arc<SigningKey> {
        self.material.ring.active()
    }

    /// Signs a JWT of another type than an access token.
    pub(in crate::ops) fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String, Fault> {
        Ok(self.material.ring.sign_as(typ, claims)?)
    }

    /// The live refresh token of a session.
    pub(in crate::ops) fn refresh_token(&self, session: &Session) -> Result<String, Fault> {
        self.material.refresh.load().token(session).ok_or(Fault::Defect("no key for refresh tokens"))
    }

    /// Checks that this issuer made a refresh token. The database is not read.
    pub(in crate::ops) fn open_refresh_token(&self, token: &str) -> Result<AuthenticToken, InvalidGrant> {
        self.material.refresh.load().open(token).ok_or(InvalidGrant("not a token of this issuer"))
    }

    /// The session's CSRF value, the same for its whole life.
    pub(in crate::ops) fn csrf(&self, session: &Session) -> String {
        URL_SAFE_NO_PAD.encode(self.material.refresh.load().csrf(session))
    }

    /// A MAC of `text`, for a table that must not hold the text.
    pub(in crate::ops) fn mac(&self, text: &str) -> Mac {
        self.material.refresh.load().mac(text)
    }
}

#[cfg(test)]
mod tests {
    use crate::{domain::signing_key::KeyState, ops::testing::Bench};

    #[tokio::test]
    async fn a_next_key_is_made_when_there_is_none_and_a_revoked_key_is_replaced_by_it() {
        let bench = Bench::open().await;
        let keys = bench.keys();
        let first = keys.active().kid().clone();
        let next = keys.start_rotation().await.unwrap();
        assert_eq!((next.state(), keys.key_statuses().unwrap().len()), (KeyState::Next, 2));
        keys.revoke_signing_key(&first).await.unwrap();
        assert_eq!(*keys.active().kid(), next.key.kid);
    }

    #[tokio::test]
    async fn a_replaced_refresh_key_leaves_older_refresh_tokens_good() {
        let bench = Bench::open().await;
        let (keys, session) = (bench.keys(), bench.session());
        let token = keys.refresh_token(&session).unwrap();
        let added = keys.replace_refresh_key().await.unwrap();
        keys.catch_up_with_refresh_keys().unwrap();
        assert_eq!(keys.listed_refresh_keys().unwrap().last().unwrap().version, added.version);
        assert_eq!(keys.open_refresh_token(&token).unwrap().session, session.id);
    }
}
