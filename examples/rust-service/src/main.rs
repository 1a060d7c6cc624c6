//! A protected service: only who has an access token of the issuer gets in.
//!
//! With `cargo quickstart` running in another terminal: `cargo run --package rust-service`, then
//! `curl http://localhost:3000/hello -H "Authorization: Bearer $TOKEN"`.

use std::{env, error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use shared::{
    clock::{Clock, SystemClock},
    http::{AccessToken, Guard},
    jwks::JwksClient,
    token::{AcceptedAudiences, Audience, Issuer, Verifier},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = env::var("ISSUER").unwrap_or_else(|_| "http://localhost:8080".into());
    let address = env::var("ADDRESS").unwrap_or_else(|_| "localhost:3000".into());

    // The issuer's keys: fetched now and whenever they age, at most every ten seconds. No call per request.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let keys = JwksClient::new(&issuer, Arc::clone(&clock), Duration::from_secs(10), Duration::from_secs(3))?;
    tokio::spawn(keys.clone().poll());

    // Whose tokens are believed, and for whom they must be.
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new("resource-service")]);
    let guard =
        Guard::new(Verifier::new(Issuer::new(issuer), audiences), Arc::new(keys), clock, "my-service");

    // The guard is the router's state; the extractors find it there.
    let app = Router::new().route("/hello", get(hello)).with_state(guard);
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}

/// The argument is the protection: without a good token this never runs, and the caller gets 401.
async fn hello(token: AccessToken) -> String {
    format!("Hello {}", token.email.as_deref().unwrap_or(token.sub.as_str()))
}
