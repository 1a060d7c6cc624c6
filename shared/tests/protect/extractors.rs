//! Extractors: an argument of the handler protects a route.

use std::{sync::Arc, time::Duration};

use axum::routing::get;
use countermark::{
    clock::Timestamp,
    http::{
        AccessToken, AnyAgeToken, AnyKindToken, FreshToken, FreshWithin, Guard, MaxAge, Scoped, TriedToken,
        UnverifiedRefreshToken, WithRole,
    },
    testing::TestIssuer,
    verify::{AnyAge, AuthError},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    ask::{self, router},
    stale::without_keys,
};

countermark::scope!(Read = "documents:read");
countermark::scope!(Write = "documents:write");
countermark::role!(Admin = "admin");

#[tokio::test]
async fn a_route_with_an_access_token_needs_one() {
    let issuer = TestIssuer::new();
    let app = router(issuer.guard(), get(ask::whoami));
    let fresh = issuer.token("alice");
    ask::get("/").bearer(fresh.sign()).of(&app).await.says("alice by header");
    let refreshed = fresh.clone().refreshed(Duration::from_hours(1)).sign();
    ask::get("/").bearer(refreshed).of(&app).await.says("alice by header");
    let missing = ask::get("/").of(&app).await;
    missing.refuses(401, "missing_token");
    assert_eq!(missing.challenge(), "Bearer realm=\"test\"");
    ask::get("/").bearer(fresh.forged()).of(&app).await.refuses(401, "invalid_token");
    let refresh = ask::get("/").bearer(issuer.refresh_token()).of(&app).await;
    refresh.refuses(401, "invalid_token");
    assert_eq!(refresh.json()["msg"], "Only access tokens are accepted");
    let expired = ask::get("/").bearer(fresh.expired().sign()).of(&app).await;
    assert_eq!(expired.json()["msg"], "The token has expired");
}

#[tokio::test]
async fn an_optional_token_may_be_absent_but_not_bad() {
    let issuer = TestIssuer::new();
    let route = get(async |token: Option<AccessToken>| {
        token.map_or("nobody".to_owned(), |token| token.sub.to_string())
    });
    let app = router(issuer.guard(), route);
    ask::get("/").of(&app).await.says("nobody");
    ask::get("/").header("authorization", "basic creds").of(&app).await.says("nobody");
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice");
    for token in ["", "x", &issuer.refresh_token(), &issuer.token("alice").expired().sign()] {
        ask::get("/").bearer(token).of(&app).await.refuses(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_tried_token_is_never_refused_and_says_why_there_is_nobody() {
    let issuer = TestIssuer::new();
    let route = get(async |TriedToken(token): TriedToken| match token {
        Ok(token) => token.claims().sub.to_string(),
        Err(refusal) => refusal.to_string(),
    });
    let app = router(issuer.guard(), route);
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice");
    ask::get("/").of(&app).await.says("no token");
    let expired = issuer.token("alice").expired().sign();
    ask::get("/").bearer(expired).of(&app).await.says("the token is refused: expired");
}

#[tokio::test]
async fn a_fresh_route_wants_a_token_straight_from_a_login() {
    let issuer = TestIssuer::new();
    let app = router(issuer.guard(), get(async |token: FreshToken| token.sub.to_string()));
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice");
    for stale in [
        issuer.token("alice").refreshed(Duration::ZERO),
        issuer.token("alice").without("fresh"),
        issuer.token("billing").of_service(),
    ] {
        let answer = ask::get("/").bearer(stale.sign()).of(&app).await;
        answer.refuses(401, "insufficient_user_authentication");
        assert!(answer.challenge().contains("max_age=\"0\""), "{answer:?}");
    }
    // A claim of the wrong type makes the token invalid. It is not an internal error.
    for odd in [json!("yes"), json!(1), json!(null)] {
        let token = issuer.token("alice").claim("fresh", odd).sign();
        ask::get("/").bearer(token).of(&app).await.refuses(401, "invalid_token");
    }
    ask::get("/").of(&app).await.refuses(401, "missing_token");
    ask::get("/").bearer(issuer.refresh_token()).of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_maximum_age_counts_from_the_login_and_through_refreshes() {
    let issuer = TestIssuer::new();
    let app = router(issuer.guard(), get(async |token: MaxAge<300>| token.sub.to_string()));
    let refreshed = |ago| issuer.token("alice").refreshed(Duration::from_secs(ago)).sign();
    ask::get("/").bearer(refreshed(300)).of(&app).await.says("alice");
    let answer = ask::get("/").bearer(refreshed(301)).of(&app).await;
    answer.refuses(401, "insufficient_user_authentication");
    assert!(answer.challenge().contains("max_age=\"300\""), "{answer:?}");
    let service = issuer.token("billing").of_service().sign();
    ask::get("/").bearer(service).of(&app).await.refuses(401, "insufficient_user_authentication");
}

#[tokio::test]
async fn fresh_within_a_time_wants_both() {
    let issuer = TestIssuer::new();
    let app = router(issuer.guard(), get(async |token: FreshWithin<300>| token.sub.to_string()));
    let token = issuer.token("alice").sign();
    ask::get("/").bearer(&token).of(&app).await.says("alice");
    let refreshed = issuer.token("alice").refreshed(Duration::from_secs(1)).sign();
    ask::get("/").bearer(refreshed).of(&app).await.refuses(401, "insufficient_user_authentication");
    issuer.clock().advance(Duration::from_secs(301));
    let answer = ask::get("/").bearer(&token).of(&app).await;
    answer.refuses(401, "insufficient_user_authentication");
    assert!(answer.challenge().contains("max_age=\"300\""), "{answer:?}");
}

#[tokio::test]
async fn an_expired_token_opens_nothing_but_a_route_for_any_age() {
    let issuer = TestIssuer::new();
    let route = get(async |AnyAgeToken(token): AnyAgeToken| match token {
        AnyAge::Live(_) => "live",
        AnyAge::Expired(_) => "expired",
    });
    let app = router(issuer.guard(), route);
    let token = issuer.token("alice");
    ask::get("/").bearer(token.sign()).of(&app).await.says("live");
    ask::get("/").bearer(token.clone().expired().sign()).of(&app).await.says("expired");
    ask::get("/").bearer(token.clone().expired().forged()).of(&app).await.refuses(401, "invalid_token");
    ask::get("/").of(&app).await.refuses(401, "missing_token");

    let app = router(issuer.guard(), get(async |_: FreshToken| "fresh"));
    ask::get("/").bearer(token.expired().sign()).of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_route_for_any_kind_distinguishes_them() {
    let issuer = TestIssuer::new();
    let route = get(async |token: AnyKindToken| match token {
        AnyKindToken::Access(token) => format!("access of {}", token.claims().sub),
        AnyKindToken::Refresh(token) => format!("refresh of {} bytes", token.0.text().len()),
    });
    let app = router(issuer.guard(), route);
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("access of alice");
    ask::get("/").bearer(issuer.refresh_token()).of(&app).await.says("refresh of 131 bytes");
    ask::get("/").of(&app).await.refuses(401, "missing_token");
    ask::get("/").bearer(issuer.token("alice").forged()).of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_route_for_refresh_tokens_takes_no_access_token() {
    let issuer = TestIssuer::new();
    let route = get(async |UnverifiedRefreshToken(token): UnverifiedRefreshToken| {
        assert!(!format!("{token:?}").contains("rt_"), "its text appears in no output");
        token.text().starts_with("rt_").to_string()
    });
    let app = router(issuer.guard(), route);
    ask::get("/").bearer(issuer.refresh_token()).of(&app).await.says("true");
    let access = ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await;
    access.refuses(401, "invalid_token");
    assert_eq!(access.json()["msg"], "Only refresh tokens are accepted");
    ask::get("/").of(&app).await.refuses(401, "missing_token");
    ask::get("/").bearer("x").of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn scopes_and_roles_are_types() {
    let issuer = TestIssuer::new();
    let app = router(issuer.guard(), get(async |_: Scoped<Read>| "read"));
    let both = router(issuer.guard(), get(async |_: Scoped<(Read, Write)>| "both"));
    let admin = router(issuer.guard(), get(async |_: WithRole<Admin>| "admin"));
    let token = issuer.token("alice").scope("documents:read").sign();
    ask::get("/").bearer(&token).of(&app).await.says("read");
    let answer = ask::get("/").bearer(&token).of(&both).await;
    answer.refuses(403, "insufficient_scope");
    assert!(answer.challenge().contains("scope=\"documents:write\""), "{answer:?}");
    let token = issuer.token("alice").scope("documents:write").scope("documents:read").sign();
    ask::get("/").bearer(&token).of(&both).await.says("both");
    ask::get("/").bearer(&token).of(&admin).await.refuses(403, "insufficient_scope");
    let token = issuer.token("alice").role("editor").role("admin").sign();
    ask::get("/").bearer(&token).of(&admin).await.says("admin");
}

#[tokio::test]
async fn custom_claims_come_as_a_type_of_the_service() {
    #[derive(Debug, Deserialize)]
    struct Tenant {
        tenant: String,
        #[serde(default)]
        seats: u32,
    }

    let issuer = TestIssuer::new();
    let route = get(async |token: AccessToken<Tenant>| {
        format!("{} of {} ({})", token.sub, token.custom().tenant, token.custom().seats)
    });
    let app = router(issuer.guard(), route);
    let token = issuer.token("alice").claim("tenant", "acme").claim("seats", 3);
    ask::get("/").bearer(token.sign()).of(&app).await.says("alice of acme (3)");
    let other = issuer.token("alice").claim("tenant", json!({"name": "acme"})).sign();
    for token in [other, issuer.token("alice").sign()] {
        let answer = ask::get("/").bearer(token).of(&app).await;
        answer.refuses(403, "access_denied");
        assert!(!answer.text().contains("acme"), "{answer:?}");
    }

    let route = get(async |token: Option<AccessToken<Tenant>>| token.is_some().to_string());
    let app = router(issuer.guard(), route);
    ask::get("/").of(&app).await.says("false");
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.refuses(403, "access_denied");
}

#[tokio::test]
async fn custom_claims_are_never_filled_from_reserved_ones() {
    #[derive(Debug, Deserialize)]
    struct Greedy {
        sub: Option<String>,
        roles: Option<Vec<String>>,
    }

    let issuer = TestIssuer::new();
    let route = get(async |token: AccessToken<Greedy>| {
        format!("{:?} {:?}", token.custom().sub, token.custom().roles)
    });
    let app = router(issuer.guard(), route);
    ask::get("/").bearer(issuer.token("alice").role("admin").sign()).of(&app).await.says("None None");
}

#[tokio::test]
async fn a_handler_sees_claims_subject_header_and_location() {
    let issuer = TestIssuer::new();
    let route = get(async |token: AccessToken| {
        let header = token.shown().header();
        format!(
            "{} {} {} {} {}",
            token.claims().sub,
            token.claims().exp.unix_seconds() - token.claims().iat.unwrap().unix_seconds(),
            header["alg"].as_str().unwrap(),
            header["kid"] == TestIssuer::new().kid(),
            token.shown().location(),
        )
    });
    let app = router(issuer.guard(), route);
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice 900 RS256 true header");
}

#[tokio::test]
async fn leeway_forgives_clocks_that_differ_and_no_more() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").expires_in(Duration::from_mins(1)).sign();
    let app = router(issuer.guard(), get(ask::whoami));
    let lenient = router(issuer.guard_with_leeway(Duration::from_secs(10)), get(ask::whoami));
    issuer.clock().advance(Duration::from_secs(59));
    ask::get("/").bearer(&token).of(&app).await.says("alice by header");
    issuer.clock().advance(Duration::from_secs(1));
    ask::get("/").bearer(&token).of(&app).await.refuses(401, "invalid_token");
    issuer.clock().advance(Duration::from_secs(9));
    ask::get("/").bearer(&token).of(&lenient).await.says("alice by header");
    issuer.clock().advance(Duration::from_secs(1));
    ask::get("/").bearer(&token).of(&lenient).await.refuses(401, "invalid_token");

    issuer.clock().set(Timestamp::from_unix_seconds(1_800_000_000));
    let ahead = issuer.token("alice").claim("nbf", 1_800_000_010).sign();
    ask::get("/").bearer(&ahead).of(&app).await.refuses(401, "invalid_token");
    ask::get("/").bearer(&ahead).of(&lenient).await.says("alice by header");
}

#[tokio::test]
async fn a_revoked_token_is_refused_everywhere_but_where_revocation_is_skipped() {
    let issuer = TestIssuer::new();
    let app = router(issuer.guard(), get(ask::whoami));
    let skipping = router(
        Guard::new(issuer.trusted_issuer().with_revocations(Arc::default()), "test"),
        get(ask::whoami),
    );
    let (token, other) = (issuer.token("alice").sign(), issuer.token("bob").sign());
    ask::get("/").bearer(&token).of(&app).await.says("alice by header");
    issuer.revoke_session("sid-alice");
    let revoked = ask::get("/").bearer(&token).of(&app).await;
    revoked.refuses(401, "invalid_token");
    assert_eq!(revoked.json()["msg"], "The token has been revoked");
    ask::get("/").bearer(&other).of(&app).await.says("bob by header");
    ask::get("/").bearer(&token).of(&skipping).await.says("alice by header");
}

#[tokio::test]
async fn without_keys_no_token_is_verified_not_even_on_an_optional_route() {
    let issuer = TestIssuer::new();
    let guard = without_keys(&issuer);
    let token = issuer.token("alice").sign();
    let optional = get(async |token: Option<AccessToken>| token.is_some().to_string());
    let tried = get(async |TriedToken(token): TriedToken| token.is_ok().to_string());
    let any_age = get(async |_: AnyAgeToken| "any age");
    for (route, without) in [(get(ask::whoami), 401), (optional, 200), (tried, 200), (any_age, 401)] {
        let app = router(guard.clone(), route.clone());
        let answer = ask::get("/").bearer(&token).of(&app).await;
        answer.refuses(503, "temporarily_unavailable");
        assert_eq!(answer.headers["retry-after"], "1");
        assert_eq!(ask::get("/").of(&app).await.status, without);
        let flask = router(guard.clone().flask_jwt_extended(), route);
        let answer = ask::get("/").bearer(&token).of(&flask).await;
        assert_eq!((answer.status, answer.json().as_object().unwrap().len()), (503, 1), "{answer:?}");
    }
}

#[tokio::test]
async fn a_check_holds_for_live_tokens_on_a_route_for_any_age_too() {
    let issuer = TestIssuer::new();
    let guard = issuer.guard().with_check(|_: &_, _: &_| Err(AuthError::denied("no")));
    let app = router(guard, get(async |_: AnyAgeToken| "in"));
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.refuses(403, "access_denied");
    // An expired token is good only for its own revocation. Checks of live tokens do not apply to it.
    ask::get("/").bearer(issuer.token("alice").expired().sign()).of(&app).await.says("in");
}
