//! A protected service. Each request needs an access token of the issuer.
//!
//! With `cargo quickstart` running in another terminal: `cargo run --package rust-service`, then
//! `curl http://localhost:3000/hello -H "Authorization: Bearer $TOKEN"`.

use std::{env, error::Error};

use axum::{Router, routing::get};
use countermark::http::{AccessToken, ClosedRouter, Guard};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = env::var("ISSUER").unwrap_or_else(|_| "http://localhost:8080".into());
    let address = env::var("ADDRESS").unwrap_or_else(|_| "localhost:3000".into());

    // The issuer's keys are fetched now, and again when they age. No request causes a call to the issuer.
    let guard = Guard::for_issuer(&issuer, "resource-service")?;
    axum::serve(TcpListener::bind(address).await?, app(guard)).await?;
    Ok(())
}

/// Every route needs a valid token, except public routes.
fn app(guard: Guard) -> Router {
    ClosedRouter::new(guard.clone())
        .route("/hello", get(hello))
        .public_route("/health", get(async || "ok"))
        .into_router()
        .with_state(guard)
}

/// The argument holds the verified claims of the caller.
async fn hello(token: AccessToken) -> String {
    format!("Hello {}", token.email.as_deref().unwrap_or(token.sub.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request, http::StatusCode};
    use countermark::testing::TestIssuer;
    use tower::ServiceExt as _;

    use super::*;

    /// Sends a request with a token. No issuer runs, and nothing leaves the process.
    async fn ask(issuer: &TestIssuer, path: &str, token: &str) -> StatusCode {
        let request = Request::builder().uri(path).header("authorization", format!("Bearer {token}"));
        let request = request.body(Body::empty()).unwrap();
        app(issuer.guard()).oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn only_who_has_a_good_token_is_greeted() {
        let issuer = TestIssuer::new();
        let token = issuer.token("alice");
        assert_eq!(ask(&issuer, "/hello", &token.sign()).await, StatusCode::OK);
        assert_eq!(ask(&issuer, "/hello", &token.forged()).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&issuer, "/hello", &token.expired().sign()).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&issuer, "/health", "").await, StatusCode::OK);
    }
}
