//! Several issuers and several audiences.

use std::{sync::Arc, time::Duration};

use axum::routing::get;
use countermark::{
    clock::{Clock, SystemClock},
    http::Guard,
    issuer::{JwksClient, TrustedIssuer},
    testing::{ServedIssuer, TestIssuer},
    verify::{AcceptedAudiences, Audience, Issuer, Verifier},
};

use crate::ask::{self, router};

#[tokio::test]
async fn each_of_several_issuers_vouches_for_its_own_tokens_alone() {
    let ours = TestIssuer::new();
    let theirs = TestIssuer::new().with_url("http://theirs.test").with_audience("partner").with_new_key();
    let app = router(ours.guard().trust_also(theirs.trusted_issuer()), get(ask::whoami));
    ask::get("/").bearer(ours.token("alice").sign()).of(&app).await.says("alice by header");
    ask::get("/").bearer(theirs.token("bob").sign()).of(&app).await.says("bob by header");
    for crossed in [
        // The partner's key with our issuer, and our key with the partner's issuer.
        theirs.token("bob").claim("iss", ours.url()).claim("aud", "test").sign(),
        ours.token("alice").claim("iss", theirs.url()).claim("aud", "partner").sign(),
        // Our audience with the partner's issuer.
        theirs.token("bob").claim("aud", "test").sign(),
        ours.token("alice").claim("iss", "http://nobodys.test").sign(),
        ours.token("alice").without("iss").sign(),
        ours.token("alice").claim("iss", vec![ours.url()]).sign(),
        "x".into(),
    ] {
        ask::get("/").bearer(crossed).of(&app).await.refuses(401, "invalid_token");
    }
    let alone = router(ours.guard(), get(ask::whoami));
    ask::get("/").bearer(theirs.token("bob").sign()).of(&alone).await.refuses(401, "invalid_token");
    theirs.revoke_session("sid-bob");
    ask::get("/").bearer(theirs.token("bob").sign()).of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_token_for_one_of_several_audiences_is_enough() {
    let issuer = TestIssuer::new();
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new("foo"), Audience::new("bar")]);
    let verifier = Verifier::new(Issuer::new(issuer.url()), audiences);
    let clock: Arc<dyn Clock> = Arc::new(issuer.clock().clone());
    let guard = Guard::new(TrustedIssuer::new(verifier, issuer.keys(), clock), "realm");
    let app = router(guard, get(ask::whoami));
    for audience in [vec!["foo"], vec!["bar"], vec!["foo", "bar", "baz"]] {
        let token = issuer.token("alice").claim("aud", audience).sign();
        ask::get("/").bearer(token).of(&app).await.says("alice by header");
    }
    for audience in [vec!["baz"], vec!["FOO"], vec!["fo"], vec![]] {
        let token = issuer.token("alice").claim("aud", audience).sign();
        ask::get("/").bearer(token).of(&app).await.refuses(401, "invalid_token");
    }
    let silent = issuer.token("alice").without("aud").sign();
    ask::get("/").bearer(silent).of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_served_issuer_is_all_that_a_test_of_key_fetching_needs() {
    let served = ServedIssuer::start(TestIssuer::new()).await.unwrap();
    let issuer = served.issuer();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let keys =
        JwksClient::new(issuer.url(), Arc::clone(&clock), Duration::ZERO, Duration::from_secs(5)).unwrap();
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new("test")]);
    let verifier = Verifier::new(Issuer::new(issuer.url()), audiences);
    let clock: Arc<dyn Clock> = Arc::new(issuer.clock().clone());
    let app =
        router(Guard::new(TrustedIssuer::new(verifier, Arc::new(keys), clock), "realm"), get(ask::whoami));
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice by header");
}

#[tokio::test]
async fn a_guard_is_made_of_an_issuer_and_an_audience() {
    let beginning = SystemClock::new().now();
    let issuer = TestIssuer::new();
    issuer.clock().set(beginning);
    let served = ServedIssuer::start(issuer).await.unwrap();
    let app = router(Guard::for_issuer(served.issuer().url(), "test").unwrap(), get(ask::whoami));
    ask::get("/").bearer(served.issuer().token("alice").sign()).of(&app).await.says("alice by header");
    let other = served.issuer().token("alice").claim("aud", "other").sign();
    ask::get("/").bearer(other).of(&app).await.refuses(401, "invalid_token");
    assert!(Guard::for_issuer("ftp://issuer", "test").is_err());
}
