//! The signing keys of this issuer, and the JWK set that it publishes.

use std::{pin::Pin, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use countermark::{
    issuer::KeySource,
    verify::{KeySet, Kid},
};
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;
use tokio::sync::watch;

use super::signing_key::{SigningKey, SigningKeyError};

/// The keys that this issuer signs and verifies with. Reading takes no lock.
#[derive(Debug)]
pub struct KeyRing {
    state: ArcSwap<State>,
    /// Notifies of each change to the published set.
    changed: watch::Sender<()>,
}

/// No key is active, so nothing can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no key to sign with")]
pub struct NoActiveKey;

#[derive(Debug)]
struct State {
    keys: Vec<Arc<SigningKey>>,
    active: Arc<SigningKey>,
    public: Arc<KeySet>,
    published: Arc<PublishedKeys>,
}

/// The answer of `/.well-known/jwks.json`.
#[derive(Debug)]
pub struct PublishedKeys {
    /// The JWK set (RFC 7517 §5).
    pub json: Bytes,
    /// A strong entity tag, with its quotes (RFC 9110 §8.8.3).
    pub etag: String,
    /// The version of the set: the base64url SHA-256 of its JSON.
    pub version: String,
}

impl KeyRing {
    /// A ring of keys in the order of their publication. The key at index `active` signs.
    pub fn new(keys: Vec<Arc<SigningKey>>, active: usize) -> Result<Self, NoActiveKey> {
        let state = ArcSwap::from_pointee(State::new(keys, active)?);
        Ok(Self { state, changed: watch::Sender::new(()) })
    }

    /// Replaces all keys. Notifies subscribers if the published set has changed.
    pub fn replace(&self, keys: Vec<Arc<SigningKey>>, active: usize) -> Result<(), NoActiveKey> {
        let state = State::new(keys, active)?;
        let has_changed = state.published.version != self.state.load().published.version;
        self.state.store(Arc::new(state));
        if has_changed {
            self.changed.send_replace(());
        }
        Ok(())
    }

    /// The key with this kid, if the ring has it.
    #[must_use]
    pub fn key(&self, kid: &Kid) -> Option<Arc<SigningKey>> {
        self.state.load().keys.iter().find(|key| key.kid() == kid).cloned()
    }

    /// A receiver that is notified of each change to the published set.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The active key, which signs.
    #[must_use]
    pub fn active(&self) -> Arc<SigningKey> {
        Arc::clone(&self.state.load().active)
    }

    /// Signs `claims` as a JWT of type `typ`, for JWTs that are not access tokens.
    pub fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        self.active().sign_as(typ, claims)
    }

    /// The public keys, for verification.
    #[must_use]
    pub fn public(&self) -> Arc<KeySet> {
        Arc::clone(&self.state.load().public)
    }

    /// The JWK set as `/.well-known/jwks.json` answers it.
    #[must_use]
    pub fn published(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.state.load().published)
    }
}

impl State {
    fn new(keys: Vec<Arc<SigningKey>>, active: usize) -> Result<Self, NoActiveKey> {
        let active = keys.get(active).cloned().ok_or(NoActiveKey)?;
        let jwks = JwkSet { keys: keys.iter().map(|key| key.jwk().clone()).collect() };
        let json = serde_json::to_string(&jwks).map_err(|_| NoActiveKey)?;
        let version = URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes()));
        let etag = format!("\"{version}\"");
        let public = keys.iter().map(|key| (key.kid().clone(), key.public().clone())).collect();
        Ok(Self {
            keys,
            active,
            public: Arc::new(public),
            published: Arc::new(PublishedKeys { json: json.into(), etag, version }),
        })
    }
}

impl KeySource for KeyRing {
    fn held(&self) -> Option<Arc<KeySet>> {
        Some(self.public())
    }

    /// Returns `None`: the ring already has every key of this issuer.
    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}
