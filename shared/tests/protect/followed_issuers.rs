//! An issuer on a port of its own, followed with and without a stream.

use std::{future::pending, time::Duration};

use countermark::{
    clock::{Clock as _, SystemClock},
    issuer::{FollowError, FollowedIssuer, introspection::IntrospectionConfig},
    testing::{ServedIssuer, TestIssuer},
    verify::{AuthError, NumericDate, Revocation, StalePolicy, TokenError},
};
use zeroize::Zeroizing;

async fn served() -> ServedIssuer {
    let issuer = TestIssuer::new();
    issuer.clock().set(SystemClock::new().now());
    ServedIssuer::start(issuer).await.unwrap()
}

/// Waits until `is_so`; fails when it never is.
async fn until(is_so: impl Fn() -> bool) {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while !is_so() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it never is");
}

#[tokio::test]
async fn an_issuer_without_a_stream_is_ready_once_its_keys_are_fetched() {
    let served = served().await;
    let issuer = FollowedIssuer::builder(served.issuer().url(), "test").build().unwrap();
    assert!(!issuer.is_ready());
    let trusted = issuer.trusted_issuer();
    tokio::spawn(issuer.clone().keep_current(pending()));
    until(|| issuer.is_ready()).await;
    assert!(trusted.verify(&served.issuer().token("alice").sign()).await.is_ok());
    assert!(!issuer.has_stream());
    assert_eq!((issuer.position(), issuer.heard_ago()), (None, None));
    let everything = Revocation::Account("alice".parse().unwrap(), NumericDate::from_unix_seconds(i64::MAX));
    issuer.revocations().change(|set| set.add(everything));
    let revoked = trusted.verify(&served.issuer().token("alice").sign()).await;
    assert_eq!(revoked, Err(AuthError::Token(TokenError::Revoked)));
}

#[tokio::test]
async fn each_audience_is_accepted_and_leeway_counts() {
    let served = served().await;
    let builder = || FollowedIssuer::builder(served.issuer().url(), "first");
    let token = || served.issuer().token("alice");
    let both = builder().with_audience("test").build().unwrap().trusted_issuer();
    assert!(both.verify(&token().sign()).await.is_ok());
    let one = builder().build().unwrap().trusted_issuer();
    assert_eq!(one.verify(&token().sign()).await, Err(AuthError::Token(TokenError::Audience)));
    let late = token().expired().sign();
    assert_eq!(both.verify(&late).await, Err(AuthError::Token(TokenError::Expired)));
    let lenient = builder().with_audience("test").with_leeway(Duration::from_mins(10)).build().unwrap();
    assert!(lenient.trusted_issuer().verify(&late).await.is_ok());
}

#[tokio::test]
async fn a_bundle_lets_a_verifier_start_without_its_issuer() {
    let (served, folder) = (served().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("bundle");
    let grpc =
        || IntrospectionConfig::new(served.issuer().url(), "client", Zeroizing::new("secret".to_owned()));
    let builder = |keys: &str| {
        FollowedIssuer::builder(served.issuer().url(), "test")
            .with_address(keys)
            .with_stream(grpc())
            .with_stale_policy(StalePolicy::Allow)
            .with_bundle(&path, Duration::from_hours(1))
    };
    served.issuer().revoke_session("sid-alice");
    let first = builder(served.issuer().url()).build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let following = tokio::spawn(first.clone().keep_current(async move { drop(stopped.await) }));
    until(|| first.heard_ago().is_some() && first.is_ready()).await;
    drop(stop);
    following.await.unwrap();
    let position = first.position();
    assert!(position.is_some());

    // Nothing listens there: all that the second one knows comes from the bundle.
    let second = builder("http://127.0.0.1:1").build().unwrap();
    assert_eq!((second.is_ready(), second.position()), (true, position));
    let trusted = second.trusted_issuer();
    let verdict = trusted.verify(&served.issuer().token("alice").sign()).await;
    assert_eq!(verdict, Err(AuthError::Token(TokenError::Revoked)));
    assert!(trusted.verify(&served.issuer().token("bob").sign()).await.is_ok());
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    let refused = FollowedIssuer::builder("ftp://issuer", "test").build().unwrap_err();
    assert!(matches!(&refused, FollowError::Keys(_)), "{refused}");
    let grpc = IntrospectionConfig::new("localhost:50051", "client", Zeroizing::new("secret".to_owned()));
    let refused = FollowedIssuer::builder("http://issuer", "test").with_stream(grpc).build().unwrap_err();
    assert!(matches!(&refused, FollowError::Stream(_)), "{refused}");
}
