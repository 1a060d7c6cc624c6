//! Checks the number of allocations that verification makes against the limits in the crate's documentation.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use axum::{Router, body::Body, extract::Request, routing::get};
use countermark::{
    http::{AccessToken, Guard, RequireToken},
    testing::{TestIssuer, TokenDraft},
    verify::Requirement,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Allocations for a login's token that is not cached.
const NEW: u64 = 24;

/// Allocations for a cached token.
const SEEN: u64 = 0;

/// Largest number of allocations for any token that an issuer may sign.
const LARGEST: u64 = 3_000;

/// Allocations for a token with a forged signature.
const FORGED: u64 = 4;

/// Allocations that an extractor adds: the token's text, which the handler may read.
const EXTRACTOR: u64 = 1;

/// Allocations that a layer adds: tower's boxes, and the values for the extractors below it.
const LAYER: u64 = 8;

const TOKENS: usize = 500;

fn login(issuer: &TestIssuer, number: usize) -> TokenDraft {
    issuer
        .token(&format!("019b76da-a800-7000-8000-a{number:011}"))
        .scope("documents:read documents:write")
        .role("admin")
        .email("test@example.com")
        .claim("amr", json!(["pwd"]))
}

fn logins(issuer: &TestIssuer) -> Vec<String> {
    (0..TOKENS).map(|number| login(issuer, number).sign()).collect()
}

/// Largest number of allocations of `what` for one of `tokens`.
fn most(tokens: &[String], what: impl Fn(&str)) -> u64 {
    tokens.iter().map(|token| measure(|| what(token)).count_total).max().unwrap()
}

/// Largest number of allocations of a route for one of `tokens`.
fn most_over_http(tokens: &[String], router: &Router) -> u64 {
    let allocations = tokens.iter().map(|token| {
        let request = Request::builder().uri("/").header("authorization", format!("Bearer {token}"));
        let (request, router) = (request.body(Body::empty()).unwrap(), router.clone());
        let answered = || {
            let Poll::Ready(Ok(answer)) =
                pin!(router.oneshot(request)).poll(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("nothing here waits")
            };
            assert_eq!(answer.status(), 200);
        };
        measure(answered).count_total
    });
    allocations.max().unwrap()
}

fn route(guard: &Guard) -> Router {
    Router::new().route("/", get(async |_: AccessToken| "ok")).with_state(guard.clone())
}

fn open_route(guard: &Guard) -> Router {
    Router::new().route("/", get(async || "ok")).with_state(guard.clone())
}

#[test]
fn verification_allocates_nothing_for_a_cached_token_and_a_stated_number_of_times_for_a_new_one() {
    let issuer = TestIssuer::new();
    let (trusted, tokens) = (issuer.trusted_issuer(), logins(&issuer));
    let verify = |token: &str| assert!(trusted.verify_held(token).unwrap().is_ok());
    let (new, seen) = (most(&tokens, verify), most(&tokens, verify));
    assert!(new <= NEW, "{new} for a new token");
    assert_eq!(seen, SEEN);
}

#[test]
fn over_http_an_extractor_adds_the_text_of_the_token_and_a_layer_a_stated_number() {
    let issuer = TestIssuer::new();
    let tokens = logins(&issuer);
    let open = most_over_http(&tokens, &open_route(&issuer.guard()));
    let layer = |guard| RequireToken::new(guard, Requirement::live());
    for (what, router, added) in [
        ("extractor", route(&issuer.guard()), EXTRACTOR),
        ("layer", open_route(&issuer.guard()).layer(layer(issuer.guard())), LAYER),
    ] {
        let (new, seen) = (most_over_http(&tokens, &router) - open, most_over_http(&tokens, &router) - open);
        assert!(new <= NEW + added, "{what}: {new} for a new token");
        assert!(seen <= SEEN + added, "{what}: {seen} for a token seen before");
    }
}

#[test]
fn whatever_a_token_holds_allocations_are_bounded() {
    let issuer = TestIssuer::new();
    let many = |claim: &str, item: &dyn Fn(usize) -> Value, count| {
        login(&issuer, 0).claim(claim, (0..count).map(item).collect::<Vec<_>>())
    };
    let members = (0..700).fold(login(&issuer, 0), |draft, number| draft.claim(&format!("{number:x}"), 0));
    let drafts = [
        many("roles", &|_| json!("a"), 1_300),
        many("x", &|_| json!([0]), 1_300),
        many("x", &|_| json!({"a": 0}), 650),
        many("x", &|_| (0..120).fold(json!(0), |inner, _| json!([inner])), 22),
        many("aud", &|number| if number == 0 { json!("test") } else { json!("a") }, 1_300),
        members,
        login(&issuer, 0).scope(vec!["a"; 2_500].join(" ").as_str()),
    ];
    for draft in drafts {
        let (trusted, token) = (issuer.trusted_issuer(), draft.sign());
        let allocations = measure(|| drop(trusted.verify_held(&token).unwrap().unwrap())).count_total;
        assert!((7_000..=8_192).contains(&token.len()), "{} bytes", token.len());
        assert!(allocations <= LARGEST, "{allocations} for {token:.80}");
    }
}

#[test]
fn a_token_that_nobody_signed_costs_next_to_nothing() {
    let issuer = TestIssuer::new();
    let trusted = issuer.trusted_issuer();
    let large = login(&issuer, 0).claim("x", vec!["a"; 1_200]);
    for token in [large.forged(), "a.b.c".into(), "x".repeat(100_000), issuer.refresh_token()] {
        let allocations = measure(|| assert!(trusted.verify_held(&token).unwrap().is_err())).count_total;
        assert!(allocations <= FORGED, "{allocations} for {token:.80}");
    }
}
