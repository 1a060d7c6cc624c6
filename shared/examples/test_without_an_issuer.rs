//! How do I test a protected service without an issuer, and without a network?
//!
//! `TestIssuer` signs any token that a test asks for, and makes a guard that accepts it. A test calls the router as a function.
//! In your service the lines of `main` are a `#[tokio::test]`, and `TestIssuer` comes with the feature `test-util`, in
//! `[dev-dependencies]` alone.
//!
//! ```text
//! valid: 200 OK
//! expired: 401 Unauthorized
//! forged: 401 Unauthorized
//! revoked: 401 Unauthorized
//! after an hour: 401 Unauthorized
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::{error::Error, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header::AUTHORIZATION},
    routing::get,
};
use countermark::{
    http::{AccessToken, Guard},
    testing::TestIssuer,
};
use tower::ServiceExt as _;

/// The service under test. Only its guard differs between a test and production.
fn app(guard: Guard) -> Router {
    Router::new().route("/hello", get(hello)).with_state(guard)
}

async fn hello(token: AccessToken) -> String {
    format!("Hello {}", token.sub)
}

/// Calls the service with a token, in this process.
async fn status(issuer: &TestIssuer, token: &str) -> Result<StatusCode, Box<dyn Error>> {
    let request = Request::builder().uri("/hello").header(AUTHORIZATION, format!("Bearer {token}"));
    Ok(app(issuer.guard()).oneshot(request.body(Body::empty())?).await?.status())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice");
    println!("valid: {}", status(&issuer, &token.sign()).await?);
    println!("expired: {}", status(&issuer, &token.clone().expired().sign()).await?);
    println!("forged: {}", status(&issuer, &token.forged()).await?);

    let revoked = issuer.token("bob").sign();
    issuer.revoke_session("sid-bob");
    println!("revoked: {}", status(&issuer, &revoked).await?);

    // The clock stands still unless the test moves it.
    issuer.clock().advance(Duration::from_hours(1));
    println!("after an hour: {}", status(&issuer, &token.sign()).await?);
    Ok(())
}
