//! Routes of a verifier whose revocations are out of date, or that never had any.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{Extension, Router, routing::get};
use countermark::{
    http::{AccessToken, Guard, RequireToken},
    issuer::{KeySource, Staleness, TrustedIssuer},
    testing::TestIssuer,
    verify::{AcceptedAudiences, Freshness, Issuer, KeySet, Requirement, StalePolicy, Verifier},
};

use crate::ask;

const AFTER: Duration = Duration::from_secs(5);

/// A guard that never received an answer from the issuer.
pub(crate) fn stale(issuer: &TestIssuer, policy: StalePolicy) -> Guard {
    let staleness = Staleness::new(Arc::new(Freshness::default()), AFTER, policy);
    Guard::new(issuer.trusted_issuer().with_staleness(staleness), "test")
}

/// A key source without keys.
#[derive(Debug)]
struct NoKeys;

impl KeySource for NoKeys {
    fn held(&self) -> Option<Arc<KeySet>> {
        None
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(async { None })
    }
}

/// A guard that cannot verify any token.
pub(crate) fn without_keys(issuer: &TestIssuer) -> Guard {
    let verifier = Verifier::new(Issuer::new(issuer.url()), AcceptedAudiences::Any);
    let clock = Arc::new(issuer.clock().clone());
    Guard::new(TrustedIssuer::new(verifier, Arc::new(NoKeys), clock), "realm")
}

async fn show(_: AccessToken) -> &'static str {
    "shown"
}

#[tokio::test]
async fn a_route_has_a_stale_policy_of_its_own() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let routes = |own: StalePolicy, guard: Guard| -> Router {
        Router::new()
            .route("/own", get(show).layer(Extension(own)))
            .route("/common", get(show))
            .with_state(guard)
    };
    let app = routes(StalePolicy::Deny, stale(&issuer, StalePolicy::Allow));
    ask::get("/common").bearer(&token).of(&app).await.says("shown");
    ask::get("/own").bearer(&token).of(&app).await.refuses(503, "temporarily_unavailable");
    let app = routes(StalePolicy::Allow, stale(&issuer, StalePolicy::Deny));
    ask::get("/common").bearer(&token).of(&app).await.refuses(503, "temporarily_unavailable");
    ask::get("/own").bearer(&token).of(&app).await.says("shown");
}

#[tokio::test]
async fn a_layer_further_out_does_not_let_in_what_the_route_would_not() {
    let issuer = TestIssuer::new();
    let guard = stale(&issuer, StalePolicy::Allow);
    let app: Router = Router::new()
        .route("/strict", get(show).layer(Extension(StalePolicy::Deny)))
        .layer(RequireToken::new(guard.clone(), Requirement::live()))
        .with_state(guard);
    let token = issuer.token("alice").sign();
    ask::get("/strict").bearer(&token).of(&app).await.refuses(503, "temporarily_unavailable");
}

#[tokio::test]
async fn a_refusal_for_staleness_says_when_to_come_back_and_asks_for_no_login() {
    let issuer = TestIssuer::new();
    let app: Router = Router::new().route("/", get(show)).with_state(stale(&issuer, StalePolicy::Deny));
    let answer = ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await;
    answer.refuses(503, "temporarily_unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(!answer.headers.contains_key("www-authenticate"));
    ask::get("/").bearer("x").of(&app).await.refuses(401, "invalid_token");
    ask::get("/").of(&app).await.refuses(401, "missing_token");
}
