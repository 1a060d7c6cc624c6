//! Each door refuses in the guard's own way: by our contract, as Flask-JWT-Extended does, or by the service's own renderer.

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use shared::{
    http::{
        AccessToken, ClosedRouter, Context, CurrentUser, Guard, LoadUser, Refusal, RequireToken, TriedToken,
    },
    revocation::StalePolicy,
    testing::TestIssuer,
    token::{Requirement, VerifiedToken},
};

use crate::{
    ask,
    stale::{stale, without_keys},
};

/// A service that was never told when to come back, and does not say it.
fn own(refusal: &Refusal, _: &Context<'_>) -> Response {
    let status = refusal.answer("").status();
    (if status.is_server_error() { StatusCode::SERVICE_UNAVAILABLE } else { status }, "own").into_response()
}

/// The guard in each profile.
fn profiles(guard: &Guard) -> [Guard; 3] {
    [guard.clone(), guard.clone().flask_jwt_extended(), guard.clone().with_renderer(own)]
}

struct Anybody;

impl LoadUser<Guard> for Anybody {
    async fn load(_: &VerifiedToken, _: &Guard) -> Result<Option<Self>, shared::http::ErrorAnswer> {
        Ok(Some(Self))
    }
}

/// Every way to ask for a token in axum, at a path of its own.
fn doors(guard: &Guard) -> Router {
    let layer = RequireToken::new(guard.clone(), Requirement::live());
    let closed: Router<Guard> =
        ClosedRouter::new(guard.clone()).route("/closed", get(async || "in")).into_router();
    Router::new()
        .route("/layer", get(async || "in").layer(layer.clone()))
        .route("/optional-layer", get(async || "in").layer(layer.optional()))
        .route("/extractor", get(async |_: AccessToken| "in"))
        .route("/optional", get(async |_: Option<AccessToken>| "in"))
        .route("/tried", get(async |_: TriedToken| "in"))
        .route("/user", get(async |_: CurrentUser<Anybody>| "in"))
        .merge(closed)
        .with_state(guard.clone())
}

const DOORS: [&str; 7] =
    ["/layer", "/optional-layer", "/extractor", "/optional", "/tried", "/user", "/closed"];

#[tokio::test]
async fn what_cannot_be_judged_now_is_503_with_retry_after_in_every_profile_at_every_door() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    for guard in [stale(&issuer, StalePolicy::Deny), without_keys(&issuer)] {
        for (profile, guard) in profiles(&guard).iter().enumerate() {
            for door in DOORS {
                let answer = ask::get(door).bearer(&token).of(&doors(guard)).await;
                assert_eq!(answer.status, 503, "{door} in profile {profile}: {answer:?}");
                assert_eq!(answer.headers["retry-after"], "1", "{door} in profile {profile}: {answer:?}");
                assert_eq!(answer.challenge(), "", "{door} in profile {profile}");
            }
        }
    }
}

#[tokio::test]
async fn what_another_token_would_mend_has_no_retry_after() {
    let issuer = TestIssuer::new();
    for guard in profiles(&issuer.guard()) {
        for ask in [ask::get("/extractor"), ask::get("/extractor").bearer("x")] {
            let answer = ask.of(&doors(&guard)).await;
            assert!((400..500).contains(&answer.status), "{answer:?}");
            assert!(!answer.headers.contains_key("retry-after"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_renderer_says_itself_when_to_come_back() {
    let renderer = |_: &Refusal, _: &Context<'_>| {
        (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "30")], "later").into_response()
    };
    let issuer = TestIssuer::new();
    let guard = stale(&issuer, StalePolicy::Deny).with_renderer(renderer);
    let answer = ask::get("/extractor").bearer(issuer.token("alice").sign()).of(&doors(&guard)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.get_all("retry-after").iter().eq(["30"]), "{answer:?}");
}
