//! The issuer on a port of its own, for tests of how a service gets its keys, and hears of revocations.

use std::{io, net::SocketAddr};

use axum::{Json, Router, routing::get};
use tokio::{net::TcpListener, task::JoinHandle};

use super::TestIssuer;

/// A [`TestIssuer`] on a port of its own of this machine. It is gone when dropped.
#[derive(Debug)]
pub struct ServedIssuer {
    issuer: TestIssuer,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl ServedIssuer {
    /// Publishes the keys of `issuer` at `/.well-known/jwks.json`, and with the feature `watch` its revocations over gRPC at the
    /// same port, to any client. Its URL becomes the one that it is reached by.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(issuer: TestIssuer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let issuer = issuer.with_url(&format!("http://{address}"));
        let keys = issuer.jwks();
        let router = Router::new().route("/.well-known/jwks.json", get(async move || Json(keys.clone())));
        #[cfg(all(feature = "watch", feature = "http"))]
        let router = {
            let watched = super::stream::Watched(issuer.clone());
            let service = proto::auth_v1::revocations_server::RevocationsServer::new(watched);
            router.merge(tonic::service::Routes::new(service).into_axum_router())
        };
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the test's issuer ended");
            }
        });
        Ok(Self { issuer, address, serving })
    }

    /// The issuer, to mint tokens with.
    #[must_use]
    pub fn issuer(&self) -> &TestIssuer {
        &self.issuer
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ServedIssuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[cfg(test)]
#[cfg(all(feature = "watch", feature = "http"))]
mod tests {
    use std::{sync::Arc, time::Duration};

    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        clock::{Clock, SystemClock},
        introspection::IntrospectionConfig,
        jwks::{Judge, JwksClient, KeySource, Refused},
        random::SystemRandom,
        revocation::{About, Followed, Follower, Freshness, Revocations, StalePolicy},
        token::{AcceptedAudiences, Issuer, TokenError, Verifier},
    };

    /// Waits until `holds`, looking every few milliseconds; fails when it never does.
    async fn until(what: &str, holds: impl AsyncFn() -> bool) {
        let looking = async {
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            while !holds().await {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looking).await.expect(what);
    }

    #[tokio::test]
    async fn who_follows_it_hears_of_what_it_revokes_before_and_after() {
        let served = ServedIssuer::start(TestIssuer::new()).await.unwrap();
        let issuer = served.issuer().clone();
        issuer.revoke_session("sid-early");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let keys = JwksClient::new(issuer.url(), Arc::clone(&clock), Duration::ZERO, Duration::from_secs(5));
        let (revocations, freshness) = (Arc::<Revocations>::default(), Arc::<Freshness>::default());
        let keys: Arc<dyn KeySource> = Arc::new(keys.unwrap());
        let followed = Followed {
            revocations: Arc::clone(&revocations),
            freshness: Arc::clone(&freshness),
            keys: Arc::clone(&keys),
        };
        let about = About {
            name: "test".into(),
            version: "1".into(),
            policy: StalePolicy::Allow,
            stale_after: Duration::from_secs(5),
            leeway: Duration::ZERO,
        };
        let config = IntrospectionConfig::new(issuer.url(), "service", Zeroizing::new("secret".to_owned()));
        let follower = Follower::new(&config, about, followed, Arc::clone(&clock), Arc::new(SystemRandom));
        let following = tokio::spawn(follower.unwrap().follow(std::future::pending()));

        let verifier = Verifier::new(Issuer::new(issuer.url()), AcceptedAudiences::Any);
        let clock: Arc<dyn Clock> = Arc::new(issuer.clock().clone());
        let judge = Judge::new(verifier, keys, clock).with_revocations(revocations);
        let revoked = Err(Refused::Token(TokenError::Revoked));
        let (early, late) = (issuer.token("early").sign(), issuer.token("late").sign());
        until("the snapshot", async || judge.verify(&early).await == revoked).await;
        assert!(judge.verify(&late).await.is_ok());
        issuer.revoke_session("sid-late");
        until("the delta", async || judge.verify(&late).await == revoked).await;
        assert_eq!(freshness.position().seq, 2);
        following.abort();
    }
}
