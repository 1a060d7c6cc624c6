//! Cache headers of an answer to a request with a token in the query.

use axum::{
    Router,
    http::{HeaderName, StatusCode, header::CACHE_CONTROL},
    routing::get,
};
use countermark::{
    http::{AccessToken, BodyTokens, ClosedRouter, Guard, Location, Locations, RequireToken, TriedToken},
    testing::TestIssuer,
    verify::Requirement,
};
use serde_json::json;

use crate::ask::{self, Answer};

type Said = [(HeaderName, &'static str); 1];

const fn says(directives: &'static str) -> Said {
    [(CACHE_CONTROL, directives)]
}

/// Routes without cache headers, and routes with some.
fn routes() -> Router<Guard> {
    Router::new()
        .route("/", get(async |_: AccessToken| "in").post(async |_: AccessToken| "in"))
        .route("/tried", get(async |TriedToken(token): TriedToken| token.is_ok().to_string()))
        .route("/absent", get(async |_: AccessToken| StatusCode::NOT_FOUND))
        .route("/no-store", get(async |_: AccessToken| (says("No-Store"), "in")))
        .route("/private", get(async |_: AccessToken| (says("max-age=60, private"), "in")))
        .route("/public", get(async |_: AccessToken| (says("public, max-age=60"), "in")))
        .route("/aged", get(async |_: AccessToken| (says("max-age=60"), "in")))
}

/// The routes behind each layer that sets cache headers.
fn apps(guard: &Guard) -> [Router; 4] {
    let bodies = || BodyTokens::new(guard.clone(), 10_000);
    let layer = RequireToken::new(guard.clone(), Requirement::live());
    [
        routes().layer(bodies()),
        routes().layer(layer.clone()),
        routes().layer(layer).layer(bodies()),
        ClosedRouter::new(guard.clone()).merge(routes()).into_router(),
    ]
    .map(|router| router.with_state(guard.clone()))
}

#[track_caller]
fn is(answer: &Answer, status: u16, expected: &[&str]) {
    let said = answer.headers.get_all(CACHE_CONTROL).iter().map(|value| value.to_str().unwrap());
    assert_eq!((answer.status, said.collect::<Vec<_>>()), (status, expected.to_vec()), "{answer:?}");
}

fn guard(issuer: &TestIssuer) -> Guard {
    issuer.guard().with_locations([Location::Header, Location::Query, Location::Json])
}

#[tokio::test]
async fn an_answer_to_a_token_in_the_query_is_private() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    for app in apps(&guard(&issuer)) {
        for path in ["/", "/tried"] {
            is(&ask::get(&format!("{path}?access_token={token}")).of(&app).await, 200, &["private"]);
            is(&ask::get(&format!("{path}?a=1")).bearer(&token).of(&app).await, 200, &[]);
        }
        is(&ask::post("/?a=1").json(&json!({"access_token": token})).of(&app).await, 200, &[]);
    }
}

#[tokio::test]
async fn a_refusal_is_no_answer_to_keep() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    for app in apps(&guard(&issuer)) {
        is(&ask::get("/").of(&app).await, 401, &[]);
        is(&ask::get("/?access_token=x").of(&app).await, 401, &[]);
        is(&ask::get(&format!("/?access_token={token}")).bearer(&token).of(&app).await, 400, &[]);
        is(&ask::get(&format!("/absent?access_token={token}")).of(&app).await, 404, &[]);
    }
}

#[tokio::test]
async fn a_route_that_says_who_may_keep_its_answer_is_left_alone() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    for app in apps(&guard(&issuer)) {
        for (path, expected) in [
            ("/no-store", &["No-Store"][..]),
            ("/private", &["max-age=60, private"]),
            ("/public", &["public, max-age=60"]),
            // This directive says how long to cache, but not who may.
            ("/aged", &["max-age=60", "private"]),
        ] {
            is(&ask::get(&format!("{path}?access_token={token}")).of(&app).await, 200, expected);
        }
    }
}

#[tokio::test]
async fn the_name_in_the_query_and_the_location_that_decides_are_the_guards() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let flask = |order: [Location; 2]| issuer.guard().with_locations(order).flask_jwt_extended();
    for app in apps(&flask([Location::Header, Location::Query])) {
        is(&ask::get(&format!("/?jwt={token}")).of(&app).await, 200, &["private"]);
        is(&ask::get(&format!("/?jwt={token}")).bearer(&token).of(&app).await, 200, &[]);
    }
    for app in apps(&flask([Location::Query, Location::Header])) {
        is(&ask::get(&format!("/?jwt={token}")).bearer(&token).of(&app).await, 200, &["private"]);
    }
    // Without the query as a location, a token in the query changes nothing.
    for app in apps(&issuer.guard().with_locations(Locations::default())) {
        is(&ask::get(&format!("/?access_token={token}")).bearer(&token).of(&app).await, 200, &[]);
    }
}
