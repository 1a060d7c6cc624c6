//! How does a handler read claims of our own?
//!
//! Custom claims are the members of a token beside the registered ones. A type of your own reads them:
//! `AccessToken<MyClaims>`. A token without them is refused with 403.
//!
//! ```text
//! a token with a tenant: 200 alice works for acme, with 3 seats
//! a token without a tenant: 403 access_denied
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::error::Error;

use axum::{Router, routing::get};
use countermark::{http::AccessToken, testing::TestIssuer};
use serde::Deserialize;
use tokio::net::TcpListener;

/// The custom claims of our tokens.
#[derive(Clone, Deserialize)]
struct MyClaims {
    tenant: String,
    #[serde(default)]
    seats: u32,
}

async fn tenant(token: AccessToken<MyClaims>) -> String {
    let MyClaims { tenant, seats } = token.custom();
    format!("{} works for {tenant}, with {seats} seats", token.sub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    let app = Router::new().route("/", get(tenant)).with_state(issuer.guard());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());

    let token = issuer.token("alice");
    for (kind, token) in [
        ("a token with a tenant", token.clone().claim("tenant", "acme").claim("seats", 3)),
        ("a token without a tenant", token),
    ] {
        let answer = reqwest::Client::new().get(&url).bearer_auth(token.sign()).send().await?;
        let (status, body) = (answer.status().as_u16(), answer.text().await?);
        let error = serde_json::from_str::<serde_json::Value>(&body).ok();
        let said = error.as_ref().and_then(|error| error["error"].as_str()).unwrap_or(&body);
        println!("{kind}: {status} {said}");
    }
    Ok(())
}
