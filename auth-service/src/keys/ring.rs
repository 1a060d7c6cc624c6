//! The signing keys of this issuer, and their public half as published.

use std::{pin::Pin, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;
use shared::{
    jwks::{KeySet, KeySource},
    token::Claims,
};
use tokio::sync::watch;

use super::signing_key::{SigningKey, SigningKeyError};

/// The keys that this issuer signs and verifies with. Reading is free of locks.
#[derive(Debug)]
pub struct KeyRing {
    state: ArcSwap<State>,
    /// Tells of each other set that is published.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
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
    /// What tells this set from others: the base64url SHA-256 of its JSON.
    pub version: String,
}

impl KeyRing {
    /// A ring that signs with `active`.
    ///
    /// # Errors
    /// [`serde_json::Error`] never happens with keys of ours.
    pub fn new(active: SigningKey) -> Result<Self, serde_json::Error> {
        let json = serde_json::to_string(&JwkSet { keys: vec![active.jwk().clone()] })?;
        let version = URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes()));
        let etag = format!("\"{version}\"");
        let public = [(active.kid(), active.public().clone())].into_iter().collect();
        let state = ArcSwap::from_pointee(State {
            active: Arc::new(active),
            public: Arc::new(public),
            published: Arc::new(PublishedKeys { json: json.into(), etag, version }),
        });
        Ok(Self { state, changed: watch::Sender::new(()) })
    }

    /// Tells of each other set that is published.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A token with those claims, signed with the active key.
    ///
    /// # Errors
    /// [`SigningKeyError`] when the library fails.
    pub fn sign(&self, claims: &Claims) -> Result<String, SigningKeyError> {
        let active = Arc::clone(&self.state.load().active);
        active.sign(claims)
    }

    /// A signed JWT of another type than an access token.
    ///
    /// # Errors
    /// [`SigningKeyError`] when the library fails.
    pub fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        let active = Arc::clone(&self.state.load().active);
        active.sign_as(typ, claims)
    }

    /// The keys that tokens of this issuer are verified with.
    #[must_use]
    pub fn public(&self) -> Arc<KeySet> {
        Arc::clone(&self.state.load().public)
    }

    /// The keys as they are published.
    #[must_use]
    pub fn published(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.state.load().published)
    }
}

impl KeySource for KeyRing {
    fn held(&self) -> Option<Arc<KeySet>> {
        Some(self.public())
    }

    /// The ring knows every key there is.
    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}
