//! How does a service call another service with a token of its own?
//!
//! `ServiceTokens` fetches one token from the issuer, shares it among all calls, and renews it before it expires. Here a small
//! token endpoint stands in for auth-service; it counts how often it is asked.
//!
//! ```text
//! call 1: 200 reports may documents:read
//! call 2: 200 reports may documents:read
//! call 3: 200 reports may documents:read
//! The issuer was asked for 1 token.
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Json, Router,
    routing::{get, post},
};
use countermark::{
    http::{Guard, Scoped},
    issuer::service_token::{ServiceTokenConfig, ServiceTokens},
    testing::TestIssuer,
};
use serde_json::json;
use tokio::net::TcpListener;

countermark::scope!(Read = "documents:read");

/// Serves `app` on a free port, and returns its URL.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(url)
}

/// The service that is called.
fn documents(guard: Guard) -> Router {
    let list = async |token: Scoped<Read>| format!("{} may {}", token.sub, token.scope);
    Router::new().route("/documents", get(list)).with_state(guard)
}

/// The token endpoint of the issuer.
fn token_endpoint(issuer: TestIssuer, asked: Arc<AtomicU32>) -> Router {
    let issue = async move || {
        asked.fetch_add(1, Ordering::Relaxed);
        let scope = "documents:read";
        let token = issuer.token("reports").of_service().scope(scope).sign();
        Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 900, "scope": scope}))
    };
    Router::new().route("/oauth/token", post(issue))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (issuer, asked) = (TestIssuer::new(), Arc::<AtomicU32>::default());
    let documents = serve(documents(issuer.guard())).await?;
    let issuer_url = serve(token_endpoint(issuer, Arc::clone(&asked))).await?;

    let config = ServiceTokenConfig::new(issuer_url, "reports", "secret".to_owned().into());
    let tokens = ServiceTokens::new(config.with_scope("documents:read".parse()?))?;
    tokio::spawn(tokens.clone().keep_current());

    let http = reqwest::Client::new();
    for call in 1..=3 {
        let answer = tokens.send(http.get(format!("{documents}/documents"))).await?;
        println!("call {call}: {} {}", answer.status().as_u16(), answer.text().await?);
    }
    println!("The issuer was asked for {} token.", asked.load(Ordering::Relaxed));
    Ok(())
}
