//! The hall: everything the service can do, one file each. A door parses, makes one call here, and maps the answer;
//! here is no status code, and there no rule.

pub mod admin;
pub mod error;
pub mod keys;
pub mod oauth;
pub mod sessions;
pub mod sweep;
pub mod tokens;
pub mod watch;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use countermark::{
    clock::{Clock, ConservativeClock},
    random::Random,
    verify::{
        AcceptedAudiences, AnyAge, Audience, Issuer, Revocations, Seq, TokenCache, TokenError, VerifiedToken,
        Verifier,
    },
};
use countermark_service::env::Env;

use crate::{
    config::Policy,
    feed::{Feed, follow, registry::RegistryFeed, remote_watchers::RemoteWatchers, watchers::Watchers},
    keys::{Keys, ring::PublishedKeys},
    store::{Store, signing_keys::ListedSigningKey},
};

pub use error::Error;
use sessions::hashing::HashingLane;
use tokens::mint_permit::Remembered;

/// Everything the service can do. The doors share one.
#[derive(Debug)]
pub struct AuthService {
    store: Store,
    feed: Feed,
    registry: RegistryFeed,
    watchers: Watchers,
    remote_watchers: RemoteWatchers,
    keys: Keys,
    /// The signing keys that are in the ring.
    signing_keys: ArcSwap<Vec<ListedSigningKey>>,
    /// So that an older reading of them can't replace a newer one.
    reading_keys: Mutex<()>,
    remembered: Remembered,
    hashing: HashingLane,
    clock: Arc<dyn Clock>,
    settled: Mutex<ConservativeClock>,
    random: Arc<dyn Random>,
    policy: Policy,
    /// For the issuer's own routes: they serve each user of the issuer, whatever resource server a token is for.
    verifier: Verifier,
    /// For service tokens that are shown to the issuer itself.
    caller_verifier: Verifier,
    /// What is remembered of tokens that were believed; the doors share it.
    tokens: Arc<TokenCache>,
}

impl AuthService {
    /// The hall over those rooms.
    #[must_use]
    pub fn new(
        store: Store,
        feed: Feed,
        registry: RegistryFeed,
        watchers: Watchers,
        keys: Keys,
        env: Env,
        policy: Policy,
    ) -> Self {
        let Env { clock, random } = env;
        let issuer = policy.issuer.clone();
        let itself = AcceptedAudiences::AnyOf(vec![Audience::new(issuer.as_str())]);
        Self {
            store,
            feed,
            registry,
            watchers,
            remote_watchers: RemoteWatchers::default(),
            keys,
            signing_keys: ArcSwap::default(),
            reading_keys: Mutex::default(),
            remembered: Remembered::default(),
            hashing: HashingLane::new(policy.hash_slots, policy.hash_queue),
            clock,
            settled: Mutex::default(),
            random,
            verifier: Verifier::new(issuer.clone(), AcceptedAudiences::Any),
            caller_verifier: Verifier::new(issuer, itself),
            tokens: Arc::default(),
            policy,
        }
    }

    /// Who this issuer is.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.policy.issuer
    }

    /// What believes the tokens that this issuer's own routes accept.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// What is remembered of tokens that were believed.
    #[must_use]
    pub fn token_cache(&self) -> &Arc<TokenCache> {
        &self.tokens
    }

    /// The published keys.
    #[must_use]
    pub fn published_keys(&self) -> Arc<PublishedKeys> {
        self.keys.ring.published()
    }

    /// The number of the last revocation.
    #[must_use]
    pub fn log_head(&self) -> Seq {
        self.feed.head().seq
    }

    /// Whether the service can do its work.
    ///
    /// # Errors
    /// [`Error::Store`] when what outlives a request can't be had.
    pub fn health(&self) -> Result<(), Error> {
        Ok(self.store.health()?)
    }

    /// What is revoked.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        self.feed.revocations()
    }

    /// Keeps what is held in memory current with what others write, and sweeps, until the returned future is dropped; to be
    /// run by whoever runs the service.
    pub async fn keep_current(&self) {
        tokio::join!(
            follow("the revocation log", || self.feed.catch_up()),
            follow("the registry", || self.registry.catch_up()),
            follow("the keys of refresh tokens", || self.catch_up_with_refresh_keys()),
            self.sweep_again_and_again(),
            self.keep_watchers(),
            self.keep_signing_keys(),
            self.keep_master_key(),
        );
    }

    /// A token that `verifier` believes.
    fn verified(&self, verifier: &Verifier, token: &str) -> Result<VerifiedToken, TokenError> {
        match self.verified_any_age(verifier, token)? {
            AnyAge::Live(token) => Ok(token),
            AnyAge::Expired(_) => Err(TokenError::Expired),
        }
    }

    fn verified_any_age(&self, verifier: &Verifier, token: &str) -> Result<AnyAge, TokenError> {
        let (keys, now) = (self.keys.ring.public(), self.clock.now());
        self.tokens.verify_any_age(verifier, token, &keys, self.revocations(), now)
    }
}
