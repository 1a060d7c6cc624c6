use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::*;
use crate::{
    forge::{NOW, keys, signed, verifier},
    issuer::LiveAnswer,
    verify::Freshness,
};

/// Long after the machine began to count.
const UPTIME: Duration = Duration::from_secs(1_000);

const AFTER: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOW)
    }

    fn monotonic(&self) -> Duration {
        UPTIME
    }
}

/// A source that has one set and no other.
#[derive(Debug)]
struct Held;

impl KeySource for Held {
    fn held(&self) -> Option<Arc<KeySet>> {
        Some(keys(&["1"]))
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}

/// A source whose newer set has another key; counts how often it was asked for that.
#[derive(Debug, Default)]
struct Newer(AtomicUsize);

impl KeySource for Newer {
    fn held(&self) -> Option<Arc<KeySet>> {
        Some(keys(&["1"]))
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Some(keys(&["2"]))))
    }
}

/// An issuer that says the same of every token.
#[derive(Debug)]
struct Says(Option<bool>);

impl LiveAnswer for Says {
    fn is_active<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + 'a>> {
        Box::pin(std::future::ready(self.0))
    }
}

/// An issuer that answered so long ago.
fn trusted(policy: StalePolicy, heard_ago: Option<Duration>) -> TrustedIssuer {
    let freshness = Freshness::default();
    if let Some(ago) = heard_ago {
        freshness.answered(UPTIME.saturating_sub(ago));
    }
    let staleness = Staleness::new(Arc::new(freshness), AFTER, policy);
    TrustedIssuer::new(verifier(), Arc::new(Held), Arc::new(Now)).with_staleness(staleness)
}

async fn is_good(trusted: &TrustedIssuer, change: &Value) -> Result<(), AuthError> {
    trusted.verify(&signed("1", change)).await.map(drop)
}

#[tokio::test]
async fn newer_keys_are_asked_for_when_a_token_names_one_and_else_never() {
    let newer = Arc::new(Newer::default());
    let asks = Staleness::new(Arc::default(), AFTER, StalePolicy::Introspect)
        .with_introspection(Arc::new(Says(Some(true))));
    let trusted = TrustedIssuer::new(verifier(), Arc::clone(&newer) as _, Arc::new(Now));
    let times = || newer.0.load(Ordering::Relaxed);
    assert!(trusted.verify(&signed("1", &json!({}))).await.is_ok());
    assert!(trusted.clone().with_staleness(asks).verify(&signed("1", &json!({}))).await.is_ok());
    assert_eq!(times(), 0);
    assert!(trusted.verify(&signed("2", &json!({}))).await.is_ok());
    assert_eq!(times(), 1);
    assert_eq!(trusted.verify(&signed("3", &json!({}))).await.err(), Some(TokenError::UnknownKey.into()));
    assert_eq!(times(), 2);
}

#[tokio::test]
async fn until_it_is_stale_every_policy_accepts_a_good_token() {
    for policy in [StalePolicy::Allow, StalePolicy::Introspect, StalePolicy::Deny] {
        assert_eq!(is_good(&trusted(policy, Some(AFTER)), &json!({})).await, Ok(()), "{policy}");
    }
}

#[tokio::test]
async fn a_stale_verifier_does_what_its_policy_says() {
    for heard_ago in [None, Some(AFTER + Duration::from_nanos(1))] {
        assert_eq!(is_good(&trusted(StalePolicy::Allow, heard_ago), &json!({})).await, Ok(()));
        assert_eq!(is_good(&trusted(StalePolicy::Deny, heard_ago), &json!({})).await, Err(AuthError::Stale));
        // There is nobody to ask.
        assert_eq!(
            is_good(&trusted(StalePolicy::Introspect, heard_ago), &json!({})).await,
            Err(AuthError::Stale)
        );
    }
}

#[tokio::test]
async fn the_issuers_live_answer_holds_and_none_is_a_refusal() {
    for (answer, verdict) in [
        (Some(true), Ok(())),
        (Some(false), Err(AuthError::Token(TokenError::Revoked))),
        (None, Err(AuthError::Stale)),
    ] {
        let staleness = Staleness::new(Arc::default(), AFTER, StalePolicy::Introspect);
        let staleness = staleness.with_introspection(Arc::new(Says(answer)));
        let trusted = TrustedIssuer::new(verifier(), Arc::new(Held), Arc::new(Now)).with_staleness(staleness);
        assert_eq!(is_good(&trusted, &json!({})).await, verdict);
        // A policy of its own, as a route may have.
        let denying = trusted.with_stale_policy(StalePolicy::Deny);
        assert_eq!(is_good(&denying, &json!({})).await, Err(AuthError::Stale));
    }
}

#[tokio::test]
async fn a_token_that_is_bad_anyway_is_refused_for_what_it_is() {
    let trusted = trusted(StalePolicy::Deny, None);
    for (change, error) in [
        (json!({ "exp": NOW }), TokenError::Expired),
        (json!({ "aud": "others" }), TokenError::Audience),
        (json!({ "nbf": NOW + 1 }), TokenError::NotYetValid),
    ] {
        assert_eq!(is_good(&trusted, &change).await, Err(AuthError::Token(error)));
    }
    let unknown = trusted.verify(&signed("2", &json!({}))).await.map(drop);
    assert_eq!(unknown, Err(AuthError::Token(TokenError::UnknownKey)));
}

/// A source whose set is replaced right after it was looked at, and which then has no newer one to give.
#[derive(Debug)]
struct Overtaken(AtomicBool);

impl KeySource for Overtaken {
    fn held(&self) -> Option<Arc<KeySet>> {
        let was_seen = self.0.swap(true, Ordering::Relaxed);
        Some(keys(if was_seen { &["old", "new"] } else { &["old"] }))
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}

#[tokio::test]
async fn a_set_that_came_between_the_look_and_the_question_counts() {
    let trusted =
        || TrustedIssuer::new(verifier(), Arc::new(Overtaken(AtomicBool::new(false))), Arc::new(Now));
    assert!(trusted().verify(&signed("new", &json!({}))).await.is_ok());
    let refused = trusted().verify(&signed("unknown", &json!({}))).await.unwrap_err();
    assert_eq!(refused, AuthError::Token(TokenError::UnknownKey));
}
