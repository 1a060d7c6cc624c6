//! A service's own checks and its own answers.

use std::sync::Arc;

use axum::{
    http::{StatusCode, request::Parts},
    response::IntoResponse,
    routing::get,
};
use countermark::{
    http::{Check, Checking, Context, FreshToken},
    testing::TestIssuer,
    verify::{AuthError, VerifiedToken},
};

use crate::ask::{self, router};

fn paid(token: &VerifiedToken, _: &Parts) -> Result<(), AuthError> {
    if token.claims().custom.get("paid") == Some(&true.into()) {
        Ok(())
    } else {
        Err(AuthError::denied("The tenant has not paid"))
    }
}

#[tokio::test]
async fn a_service_checks_more_by_a_function_of_its_own() {
    let issuer = TestIssuer::new();
    let guard = issuer.guard().with_check(paid);
    let app = router(guard.clone(), get(ask::whoami));
    ask::get("/")
        .bearer(issuer.token("alice").claim("paid", true).sign())
        .of(&app)
        .await
        .says("alice by header");
    let answer = ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await;
    answer.refuses(403, "access_denied");
    assert_eq!(answer.json()["msg"], "The tenant has not paid");

    let fresh = router(guard.clone(), get(async |_: FreshToken| "fresh"));
    ask::get("/").bearer(issuer.token("alice").sign()).of(&fresh).await.refuses(403, "access_denied");
    let optional =
        router(guard, get(async |token: Option<countermark::http::AccessToken>| token.is_some().to_string()));
    ask::get("/").of(&optional).await.says("false");
    ask::get("/").bearer(issuer.token("alice").sign()).of(&optional).await.refuses(403, "access_denied");
}

#[tokio::test]
async fn a_check_may_wait_and_sees_the_request() {
    struct SameTenant;

    impl Check for SameTenant {
        fn check<'c>(&'c self, token: &'c VerifiedToken, parts: &'c Parts) -> Checking<'c> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                let asked = parts.headers.get("x-tenant").and_then(|value| value.to_str().ok());
                let own = token.claims().custom.get("tenant").and_then(|value| value.as_str());
                if asked == own { Ok(()) } else { Err(AuthError::denied("Another tenant's")) }
            })
        }
    }

    let issuer = TestIssuer::new();
    let app = router(issuer.guard().with_check(SameTenant), get(ask::whoami));
    let token = issuer.token("alice").claim("tenant", "acme").sign();
    ask::get("/").bearer(&token).header("x-tenant", "acme").of(&app).await.says("alice by header");
    ask::get("/").bearer(&token).header("x-tenant", "other").of(&app).await.refuses(403, "access_denied");
}

#[tokio::test]
async fn checks_come_after_all_else() {
    let issuer = TestIssuer::new();
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let guard = issuer.guard().with_check(move |_: &VerifiedToken, _: &Parts| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Err(AuthError::denied("never"))
    });
    let app = router(guard, get(async |_: FreshToken| "fresh"));
    ask::get("/").bearer(issuer.token("alice").expired().sign()).of(&app).await.refuses(401, "invalid_token");
    let stale = issuer.token("alice").refreshed(std::time::Duration::ZERO).sign();
    ask::get("/").bearer(stale).of(&app).await.refuses(401, "insufficient_user_authentication");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.refuses(403, "access_denied");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_service_answers_refusals_its_own_way_and_sees_what_the_token_claims() {
    let issuer = TestIssuer::new();
    let guard =
        issuer.guard().with_check(paid).with_renderer(|refusal: &AuthError, context: &Context<'_>| {
            let who = context.claims.map_or("nobody", |claims| claims.sub.as_str());
            let (realm, path) = (context.realm, context.parts.uri.path());
            (StatusCode::IM_A_TEAPOT, format!("{refusal}; {who}; {realm}; {path}")).into_response()
        });
    let app = router(guard, get(async |_: FreshToken| "fresh"));
    let said = async |token: Option<String>| {
        let asked = ask::get("/");
        let asked = if let Some(token) = token { asked.bearer(token) } else { asked };
        let answer = asked.of(&app).await;
        assert_eq!(answer.status, 418);
        answer.text().to_owned()
    };
    let alice = || issuer.token("alice");
    assert_eq!(said(None).await, "no token; nobody; test; /");
    assert_eq!(said(Some(alice().expired().sign())).await, "the token is refused: expired; alice; test; /");
    let stale = alice().refreshed(std::time::Duration::ZERO).sign();
    assert_eq!(said(Some(stale)).await, "credentials were given too long ago; alice; test; /");
    let denied = "the service's own check: The tenant has not paid; alice; test; /";
    assert_eq!(said(Some(alice().sign())).await, denied);
    assert!(said(Some(alice().forged())).await.ends_with("nobody; test; /"), "nothing is proven");
}
