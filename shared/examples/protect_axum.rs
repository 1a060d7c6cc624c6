//! How do I protect the routes of an axum service?
//!
//! An argument of the handler protects its route. Here the service runs beside a test issuer, and calls itself with four kinds
//! of token. In your service `issuer.url()` is the URL of auth-service.
//!
//! ```text
//! /health with no token: 200 ok
//! /hello with no token: 401 missing_token
//! /hello with a valid token: 200 Hello alice
//! /hello with an expired token: 401 invalid_token
//! /documents with a valid token: 403 insufficient_scope
//! /documents with a token for documents:read: 200 Documents of alice
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::error::Error;

use axum::{Router, routing::get};
use countermark::{
    clock::{Clock as _, SystemClock},
    http::{AccessToken, ClosedRouter, Guard, Scoped},
    testing::{ServedIssuer, TestIssuer},
};
use tokio::net::TcpListener;

countermark::scope!(Read = "documents:read");

/// Every route needs a valid token, except public routes.
fn app(guard: Guard) -> Router {
    ClosedRouter::new(guard.clone())
        .route("/hello", get(hello))
        .route("/documents", get(documents))
        .public_route("/health", get(async || "ok"))
        .into_router()
        .with_state(guard)
}

async fn hello(token: AccessToken) -> String {
    format!("Hello {}", token.sub)
}

async fn documents(token: Scoped<Read>) -> String {
    format!("Documents of {}", token.sub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    issuer.clock().set(SystemClock::new().now());
    let served = ServedIssuer::start(issuer).await?;
    let issuer = served.issuer();

    let guard = Guard::for_issuer(issuer.url(), "test")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app(guard)).into_future());

    let token = issuer.token("alice");
    for (path, kind, token) in [
        ("/health", "no token", String::new()),
        ("/hello", "no token", String::new()),
        ("/hello", "a valid token", token.sign()),
        ("/hello", "an expired token", token.clone().expired().sign()),
        ("/documents", "a valid token", token.sign()),
        ("/documents", "a token for documents:read", token.clone().scope("documents:read").sign()),
    ] {
        let mut request = reqwest::Client::new().get(format!("{url}{path}"));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        let (status, body) = (answer.status().as_u16(), answer.text().await?);
        let error = serde_json::from_str::<serde_json::Value>(&body).ok();
        let said = error.as_ref().and_then(|error| error["error"].as_str()).unwrap_or(&body);
        println!("{path} with {kind}: {status} {said}");
    }
    Ok(())
}
