//! The request body that a handler sees after a token was taken from it.

use axum::{
    Router,
    extract::Request,
    routing::{get, post},
};
use countermark::{
    http::{AccessToken, BodyTokens, Location},
    testing::TestIssuer,
};
use serde_json::json;

use crate::ask;

const FORM: &str = "application/x-www-form-urlencoded";

fn echo(issuer: &TestIssuer, limit: usize) -> Router {
    let guard = issuer.guard().with_locations([Location::Header, Location::Json, Location::Form]);
    let handler = async |_: AccessToken, body: String| body;
    Router::new()
        .route("/", post(handler))
        .route(
            "/headers",
            post(async |request: Request| request.headers().contains_key("content-length").to_string()),
        )
        .route("/open", get(async || "open"))
        .with_state(guard.clone())
        .layer(BodyTokens::new(guard, limit))
}

#[tokio::test]
async fn the_handler_sees_the_body_without_the_token() {
    let issuer = TestIssuer::new();
    let (app, token) = (echo(&issuer, 10_000), issuer.token("alice").sign());
    let json = json!({"access_token": token, "title": "t"});
    ask::post("/").json(&json).of(&app).await.says(r#"{"title":"t"}"#);
    let form = format!("a=1&access_token={token}&b=x%20y");
    ask::post("/").body(FORM, form).of(&app).await.says("a=1&b=x+y");
    // The length differs from the body that was sent.
    ask::post("/headers").json(&json).header("content-length", "9").of(&app).await.says("false");
}

#[tokio::test]
async fn a_body_without_a_token_reaches_the_handler_as_it_was() {
    let issuer = TestIssuer::new();
    let (app, token) = (echo(&issuer, 10_000), issuer.token("alice").sign());
    for body in [r#"{"b":1,  "a":2}"#, "[1]", "{", r#"{"access_token":1}"#, r#"{"access_token":null}"#, ""] {
        ask::post("/").bearer(&token).body("application/json", body).of(&app).await.says(body);
    }
    for body in [r#"{"access_token":"x","access_token":"y"}"#, "[]", r#"{"access_token":["x"]}"#] {
        ask::post("/").body("application/json", body).of(&app).await.refuses(401, "missing_token");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_413_and_only_where_it_is_looked_into() {
    let issuer = TestIssuer::new();
    let (app, token) = (echo(&issuer, 100), issuer.token("alice").sign());
    let long = "x".repeat(200);
    let answer = ask::post("/").bearer(&token).body("application/json", long.clone()).of(&app).await;
    answer.refuses(413, "payload_too_large");
    ask::post("/").bearer(&token).body("text/plain", long.clone()).of(&app).await.says(&long);
    ask::get("/open").of(&app).await.says("open");
}
