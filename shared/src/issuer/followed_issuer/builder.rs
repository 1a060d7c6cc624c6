//! [`FollowedIssuerBuilder`]: what is known of an issuer before it is followed, and the default of each setting.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "watch")]
use super::stream::StreamSettings;
use super::{FollowError, FollowedIssuer};
#[cfg(feature = "watch")]
use crate::issuer::introspection::IntrospectionConfig;
use crate::{
    clock::{Clock, SystemClock},
    issuer::{ClientError, JwksClient, TrustedIssuer},
    verify::{AcceptedAudiences, Audience, Issuer, Revocations, Verifier},
};

/// Least time between two fetches of the keys.
const COOLDOWN: Duration = Duration::from_secs(10);

/// Longest time that a fetch of the keys may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Settings of a [`FollowedIssuer`]. Each has a default.
#[derive(Clone, Debug)]
pub struct FollowedIssuerBuilder {
    issuer: Issuer,
    audience: Audience,
    others: Vec<Audience>,
    leeway: Duration,
    address: Option<String>,
    http: Option<reqwest::Client>,
    cooldown: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    #[cfg(feature = "watch")]
    pub(super) stream: StreamSettings,
}

impl FollowedIssuerBuilder {
    pub(super) fn new(issuer: &str, audience: &str) -> Self {
        Self {
            issuer: Issuer::new(issuer),
            audience: Audience::new(audience),
            others: Vec::new(),
            leeway: Duration::ZERO,
            address: None,
            http: None,
            cooldown: COOLDOWN,
            timeout: TIMEOUT,
            clock: Arc::new(SystemClock::new()),
            #[cfg(feature = "watch")]
            stream: StreamSettings::default(),
        }
    }

    /// Accepts tokens for another audience too.
    #[must_use]
    pub fn with_audience(mut self, audience: &str) -> Self {
        self.others.push(Audience::new(audience));
        self
    }

    /// Lets `exp` and `nbf` be off by `leeway`, for machines whose clocks differ. The default is none.
    #[must_use]
    pub fn with_leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// Fetches the keys from `{url}/.well-known/jwks.json`. The default is the issuer's own URL.
    #[must_use]
    pub fn with_address(self, url: &str) -> Self {
        Self { address: Some(url.to_owned()), ..self }
    }

    /// Fetches the keys with `http`: for root certificates, a client certificate or a proxy. It should have a time-out, and follow
    /// no redirects, because a redirect could lead to another origin's keys. Without `no_proxy()` the environment's `HTTP_PROXY`
    /// applies to it; the default client ignores that.
    #[must_use]
    pub fn with_http(self, http: reqwest::Client) -> Self {
        Self { http: Some(http), ..self }
    }

    /// Sets the least time between two fetches of the keys. The default is 10 s.
    #[must_use]
    pub fn with_cooldown(self, cooldown: Duration) -> Self {
        Self { cooldown, ..self }
    }

    /// Sets the longest time that a fetch of the keys may take. The default is 3 s. A client of your own has its own time-out.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Reads time from `clock`. The default is the system's clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Makes the issuer. It sends nothing yet; with a bundle it reads the file, which blocks. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`FollowError`] names what can't be used. It does not say whether the issuer can be reached.
    pub fn build(self) -> Result<FollowedIssuer, FollowError> {
        let keys = self.keys()?;
        #[cfg(feature = "watch")]
        if let Some(grpc) = self.stream.grpc.clone() {
            return self.build_with_stream(&grpc, keys);
        }
        let revocations = Arc::<Revocations>::default();
        let trusted = TrustedIssuer::new(self.verifier(), Arc::new(keys.clone()), Arc::clone(&self.clock))
            .with_revocations(Arc::clone(&revocations));
        Ok(FollowedIssuer {
            trusted,
            audience: self.audience,
            keys,
            clock: self.clock,
            revocations,
            freshness: None,
            #[cfg(feature = "watch")]
            stream: None,
        })
    }

    fn keys(&self) -> Result<JwksClient, ClientError> {
        let address = self.address.as_deref().unwrap_or(self.issuer.as_str());
        let clock = Arc::clone(&self.clock);
        match self.http.clone() {
            Some(http) => JwksClient::with_http(address, http, clock, self.cooldown),
            None => JwksClient::new(address, clock, self.cooldown, self.timeout),
        }
    }

    fn verifier(&self) -> Verifier {
        let audiences = [&self.audience].into_iter().chain(&self.others).cloned().collect();
        Verifier::new(self.issuer.clone(), AcceptedAudiences::AnyOf(audiences)).with_leeway(self.leeway)
    }

    #[cfg(feature = "watch")]
    fn build_with_stream(
        self,
        grpc: &IntrospectionConfig,
        keys: JwksClient,
    ) -> Result<FollowedIssuer, FollowError> {
        let verifier = self.verifier();
        let Self { issuer, audience, leeway, clock, mut stream, .. } = self;
        stream.about.leeway = leeway;
        let (stream, keys, staleness) = stream.connect(grpc, keys, &clock, (&issuer, &audience))?;
        let (revocations, freshness) = stream.shared();
        let trusted = TrustedIssuer::new(verifier, Arc::new(keys.clone()), Arc::clone(&clock))
            .with_revocations(Arc::clone(&revocations))
            .with_staleness(staleness);
        let (freshness, stream) = (Some(freshness), Some(stream));
        Ok(FollowedIssuer { trusted, audience, keys, clock, revocations, freshness, stream })
    }
}
