//! A service that calls another service with its own token. The README has the commands.

use std::{env, error::Error, fs};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use countermark::issuer::service_token::{ServiceTokenConfig, ServiceTokens};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// The state of each request: the source of tokens, the HTTP client, and the URL to call.
#[derive(Clone)]
struct Documents {
    tokens: ServiceTokens,
    http: reqwest::Client,
    url: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let secret = fs::read_to_string(setting("SECRET_FILE", "reports.secret"))?;
    let secret = Zeroizing::new(secret.trim().to_owned());

    // One token serves all calls. It has only the scope that they need, and is renewed in the background before it
    // expires.
    let config = ServiceTokenConfig::new(setting("ISSUER", "http://localhost:8080"), "reports", secret)
        .with_scope("documents:read".parse()?);
    let tokens = ServiceTokens::new(config)?;
    tokio::spawn(tokens.clone().keep_current());

    let url = setting("DOCUMENTS_URL", "http://localhost:8081/documents");
    let documents = Documents { tokens, http: reqwest::Client::new(), url };
    let app = Router::new().route("/report", get(report)).with_state(documents);
    axum::serve(TcpListener::bind(setting("ADDRESS", "localhost:3001")).await?, app).await?;
    Ok(())
}

/// Returns the answer of resource-service to this service's own token, not to the caller's.
async fn report(State(documents): State<Documents>) -> Result<String, (StatusCode, String)> {
    let failed = |error: &dyn Error| (StatusCode::BAD_GATEWAY, format!("no documents: {error}\n"));
    let answer = documents.tokens.send(documents.http.get(&documents.url)).await;
    let answer = answer.map_err(|error| failed(&error))?;
    let answer = answer.error_for_status().map_err(|error| failed(&error))?;
    answer.text().await.map_err(|error| failed(&error))
}
