//! The issuer over HTTP, for tests of how a service gets its keys.

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
    /// Publishes the keys of `issuer` at `/.well-known/jwks.json`. Its URL becomes the one that it is reached by.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(issuer: TestIssuer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let issuer = issuer.with_url(&format!("http://{address}"));
        let keys = issuer.jwks();
        let router = Router::new().route("/.well-known/jwks.json", get(async move || Json(keys.clone())));
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
