//! An issuer inside the test process: its key, its key set and its revocations.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    clock::{Clock, ManualClock, Timestamp},
    issuer::{KeySource, TrustedIssuer},
    verify::{
        AcceptedAudiences, Audience, Issuer, KeySet, Opaque, PublicKey, Revocation, Revocations, Verifier,
    },
};

/// Initial time of [`TestIssuer`]'s clock: 2027-01-15T08:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Signs any token that a test asks for. Clones are the same issuer.
///
/// ```
/// use countermark::testing::TestIssuer;
///
/// let issuer = TestIssuer::new();
/// let token = issuer.token("alice").scope("documents:read").sign();
/// assert_eq!(token.split('.').count(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct TestIssuer {
    url: String,
    audience: String,
    key: Arc<KeyPair>,
    clock: ManualClock,
    revocations: Arc<Revocations>,
    #[cfg(all(feature = "watch", feature = "http"))]
    log: Arc<super::log::Log>,
}

impl Default for TestIssuer {
    fn default() -> Self {
        Self::new()
    }
}

impl TestIssuer {
    /// The issuer `http://issuer.test` for the audience `test`, with a clock that the test moves. All issuers that this
    /// function makes in one process share a key, because making a key is slow.
    #[must_use]
    pub fn new() -> Self {
        static KEY: LazyLock<Arc<KeyPair>> = LazyLock::new(new_key);
        Self {
            url: "http://issuer.test".into(),
            audience: "test".into(),
            key: Arc::clone(&KEY),
            clock: ManualClock::at(BEGINNING),
            revocations: Arc::default(),
            #[cfg(all(feature = "watch", feature = "http"))]
            log: Arc::default(),
        }
    }

    /// Sets the issuer's URL, the `iss` of its tokens.
    #[must_use]
    pub fn with_url(self, url: &str) -> Self {
        Self { url: url.into(), ..self }
    }

    /// Sets the audience, the `aud` of its tokens.
    #[must_use]
    pub fn with_audience(self, audience: &str) -> Self {
        Self { audience: audience.into(), ..self }
    }

    /// Gives the issuer a key of its own.
    #[must_use]
    pub fn with_new_key(self) -> Self {
        Self { key: new_key(), ..self }
    }

    /// The clock that mints and verifies tokens.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// URL of the issuer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn audience(&self) -> &str {
        &self.audience
    }

    /// A refresh token, as a client sends it by mistake in place of an access token. No service can verify it.
    #[must_use]
    pub fn refresh_token(&self) -> String {
        format!("{}{}", crate::verify::REFRESH_TOKEN_PREFIX, URL_SAFE_NO_PAD.encode([7; 96]))
    }

    /// Revokes the tokens of `revocation`: for the issuer's own guards at once, and for all followers of its stream.
    pub fn revoke(&self, revocation: Revocation) {
        #[cfg(all(feature = "watch", feature = "http"))]
        self.log.push(revocation.clone());
        self.revocations.change(|set| set.add(revocation));
    }

    /// Revokes the session `sid`, as a logout does.
    pub fn revoke_session(&self, sid: &str) {
        if let Ok(sid) = sid.parse::<Opaque>() {
            self.revoke(Revocation::Session(sid));
        }
    }

    /// The issuer's revocations.
    #[must_use]
    pub fn revocations(&self) -> Arc<Revocations> {
        Arc::clone(&self.revocations)
    }

    /// The issuer's key set, as a service would have fetched it.
    #[must_use]
    pub fn keys(&self) -> Arc<dyn KeySource> {
        let key = PublicKey::from_modulus(&self.modulus());
        let keys = key.and_then(|key| Some((self.kid().parse().ok()?, key))).into_iter().collect::<KeySet>();
        Arc::new(Held(Arc::new(keys)))
    }

    /// The issuer's key set, as it is published (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        let n = URL_SAFE_NO_PAD.encode(self.modulus());
        json!({"keys": [
            {"kty": "RSA", "n": n, "e": "AQAB", "use": "sig", "alg": "RS256", "kid": self.kid()}
        ]})
    }

    /// The `kid` of the issuer's key: its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> String {
        let n = URL_SAFE_NO_PAD.encode(self.modulus());
        let canonical = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{n}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// A [`TrustedIssuer`] that accepts this issuer's tokens.
    #[must_use]
    pub fn trusted_issuer(&self) -> TrustedIssuer {
        self.trusted_issuer_with_leeway(Duration::ZERO)
    }

    fn trusted_issuer_with_leeway(&self, leeway: Duration) -> TrustedIssuer {
        let audiences = AcceptedAudiences::AnyOf(vec![Audience::new(&*self.audience)]);
        let verifier = Verifier::new(Issuer::new(&*self.url), audiences).with_leeway(leeway);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        TrustedIssuer::new(verifier, self.keys(), clock).with_revocations(self.revocations())
    }

    /// A guard that accepts this issuer's tokens. Its realm is the audience.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn guard(&self) -> crate::http::Guard {
        crate::http::Guard::new(self.trusted_issuer(), &*self.audience)
    }

    /// The guard of [`guard`](Self::guard) with a leeway for clocks that differ.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn guard_with_leeway(&self, leeway: Duration) -> crate::http::Guard {
        crate::http::Guard::new(self.trusted_issuer_with_leeway(leeway), &*self.audience)
    }

    /// A guard for tonic services that accepts this issuer's tokens.
    #[cfg(feature = "grpc")]
    #[must_use]
    pub fn grpc_guard(&self) -> crate::grpc::Guard {
        crate::grpc::Guard::new(self.trusted_issuer())
    }

    #[cfg(all(feature = "watch", feature = "http"))]
    pub(super) fn log(&self) -> &super::log::Log {
        &self.log
    }

    /// Version of the key set, as heartbeats name it.
    #[cfg(all(feature = "watch", feature = "http"))]
    pub(super) fn key_set_version(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.jwks().to_string().as_bytes()))
    }

    /// The RS256 signature of a message.
    #[expect(clippy::disallowed_methods, reason = "PKCS #1 v1.5 signatures draw no randomness")]
    #[expect(clippy::expect_used, reason = "a test fails by a panic")]
    pub(super) fn signature(&self, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .expect("an RSA key signs");
        signature
    }

    fn modulus(&self) -> Vec<u8> {
        self.key.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }
}

#[expect(clippy::expect_used, reason = "a test fails by a panic")]
fn new_key() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate(KeySize::Rsa2048).expect("an RSA key is generated"))
}

/// A key set that never changes.
#[derive(Debug)]
struct Held(Arc<KeySet>);

impl KeySource for Held {
    fn held(&self) -> Option<Arc<KeySet>> {
        Some(Arc::clone(&self.0))
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(async { None })
    }
}
