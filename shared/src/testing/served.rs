//! The test issuer on a port of its own, for tests of how a service fetches keys and receives revocations.

use std::{io, net::SocketAddr};

use axum::{Json, Router, routing::get};
use tokio::{net::TcpListener, task::JoinHandle};

use super::TestIssuer;

/// A [`TestIssuer`] on a local port of its own. Dropping it stops the server.
#[derive(Debug)]
pub struct ServedIssuer {
    issuer: TestIssuer,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl ServedIssuer {
    /// Publishes the keys of `issuer` at `/.well-known/jwks.json`. With the feature `watch` it also serves the
    /// revocations over gRPC at the same port, to every client. The URL of the issuer becomes the address of this
    /// server.
    ///
    /// # Errors
    /// The I/O error when no port can be bound.
    pub async fn start(issuer: TestIssuer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let issuer = issuer.with_url(&format!("http://{address}"));
        let keys = issuer.jwks();
        let router = Router::new().route("/.well-known/jwks.json", get(async move || Json(keys.clone())));
        #[cfg(all(feature = "watch", feature = "http"))]
        let router = {
            let watched = super::stream::Watched(issuer.clone());
            let service = countermark_proto::auth_v1::revocations_server::RevocationsServer::new(watched);
            router.merge(tonic::service::Routes::new(service).into_axum_router())
        };
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the test's issuer ended");
            }
        });
        Ok(Self { issuer, address, serving })
    }

    /// The issuer, which mints tokens.
    #[must_use]
    pub fn issuer(&self) -> &TestIssuer {
        &self.issuer
    }

    /// Address of the server.
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
    use std::time::Duration;

    use axum::{body::Body, extract::Request};
    use tower::ServiceExt as _;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        clock::{Clock as _, SystemClock},
        http::{AccessToken, Guard},
        issuer::{FollowedIssuer, introspection::IntrospectionConfig},
        verify::StalePolicy,
    };

    async fn status(app: &Router, token: &str) -> u16 {
        let request = Request::builder().uri("/").header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// Asks every few milliseconds until `token` is answered with `expected`. Fails after 20 seconds.
    async fn until(app: &Router, token: &str, expected: u16) {
        let looking = async {
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            while status(app, token).await != expected {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it is never answered so");
    }

    #[tokio::test]
    async fn a_follower_learns_of_revocations_from_before_and_after_it_connects() {
        let issuer = TestIssuer::new();
        issuer.clock().set(SystemClock::new().now());
        let served = ServedIssuer::start(issuer).await.unwrap();
        let issuer = served.issuer();
        issuer.revoke_session("sid-early");
        let grpc = IntrospectionConfig::new(issuer.url(), "service", Zeroizing::new("secret".to_owned()));
        let followed = FollowedIssuer::builder(issuer.url(), "test")
            .with_stream(grpc)
            .with_stale_policy(StalePolicy::Deny)
            .build()
            .unwrap();
        let guard = Guard::following(followed, std::future::pending());
        let route = get(async |token: AccessToken| token.sub.to_string());
        let app = Router::new().route("/", route).with_state(guard);
        let (early, late) = (issuer.token("early").sign(), issuer.token("late").sign());
        // Before the stream begins the guard is stale, and this policy then answers 503.
        until(&app, &late, 200).await;
        assert_eq!(status(&app, &early).await, 401, "what was revoked before is in the snapshot");
        issuer.revoke_session("sid-late");
        until(&app, &late, 401).await;
        assert_eq!(status(&app, &issuer.token("other").sign()).await, 200);
    }
}
