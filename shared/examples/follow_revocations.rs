//! How does a service refuse revoked tokens at once, without a call per request?
//!
//! The guard follows the issuer's stream of revocations. Here a test issuer sends the stream. In your service the URL of the
//! stream is auth-service's gRPC port, and the client is one that `auth-service client add` has made.
//!
//! ```text
//! alice: 200 Hello alice
//! The issuer revokes the session of alice.
//! alice: 401 The token has been revoked
//! bob: 200 Hello bob
//! ```

#![expect(clippy::print_stdout, reason = "the example prints what happens")]

use std::{error::Error, future::pending, time::Duration};

use axum::{Router, routing::get};
use countermark::{
    clock::{Clock as _, SystemClock},
    http::{AccessToken, Guard},
    issuer::{FollowedIssuer, introspection::IntrospectionConfig},
    testing::{ServedIssuer, TestIssuer},
    verify::StalePolicy,
};
use tokio::{net::TcpListener, time::sleep};

async fn hello(token: AccessToken) -> String {
    format!("Hello {}", token.sub)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = TestIssuer::new();
    issuer.clock().set(SystemClock::new().now());
    let served = ServedIssuer::start(issuer).await?;
    let issuer = served.issuer();

    // After 5 s without a word from the issuer, valid tokens are refused for now: 503.
    let stream = IntrospectionConfig::new(issuer.url(), "my-client", "secret".to_owned().into());
    let followed = FollowedIssuer::builder(issuer.url(), "test")
        .with_stream(stream)
        .with_name("my-service")
        .with_stale_after(Duration::from_secs(5))
        .with_stale_policy(StalePolicy::Deny)
        .build()?;
    let guard = Guard::following(followed, pending());
    let app = Router::new().route("/", get(hello)).with_state(guard);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, app).into_future());

    let (alice, bob) = (issuer.token("alice").sign(), issuer.token("bob").sign());
    println!("alice: {}", answer_other_than(503, &url, &alice).await?);
    println!("The issuer revokes the session of alice.");
    issuer.revoke_session("sid-alice");
    println!("alice: {}", answer_other_than(200, &url, &alice).await?);
    println!("bob: {}", answer_other_than(503, &url, &bob).await?);
    Ok(())
}

/// The service answers 503 until the stream is open, and 200 until the revocation has arrived.
async fn answer_other_than(earlier: u16, url: &str, token: &str) -> Result<String, reqwest::Error> {
    loop {
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await?;
        let (status, body) = (answer.status().as_u16(), answer.text().await?);
        if status != earlier {
            let error = serde_json::from_str::<serde_json::Value>(&body).ok();
            let said = error.as_ref().and_then(|error| error["msg"].as_str()).unwrap_or(&body);
            return Ok(format!("{status} {said}"));
        }
        sleep(Duration::from_millis(5)).await;
    }
}
