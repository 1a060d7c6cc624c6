//! The locations of a token in a request, and their names.

use axum::http::{HeaderName, Method};
use countermark::{
    http::{Csrf, Location, Locations, Lookup},
    testing::TestIssuer,
};
use serde_json::json;

use crate::ask::{self, at};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn by_default_a_token_counts_in_the_header_alone() {
    let issuer = TestIssuer::new();
    let (app, token) = (at(&issuer, Locations::default()), issuer.token("alice").sign());
    ask::get("/").bearer(&token).of(&app).await.says("alice by header");
    ask::get(&format!("/?access_token={token}")).of(&app).await.refuses(401, "missing_token");
    ask::get("/").cookie(&token).of(&app).await.refuses(401, "missing_token");
    let json = ask::post("/").json(&json!({"access_token": token})).of(&app).await;
    json.refuses(401, "missing_token");
    let form = ask::post("/").body(FORM, format!("access_token={token}")).of(&app).await;
    form.refuses(401, "missing_token");
}

#[tokio::test]
async fn each_location_counts_when_it_is_switched_on() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").csrf("value").sign();
    let (form, json) = (format!("a=1&access_token={token}"), json!({"a": 1, "access_token": token}));
    let app = at(&issuer, [Location::Header]);
    ask::get("/").bearer(&token).of(&app).await.says("alice by header");
    let app = at(&issuer, [Location::Cookie]);
    ask::get("/").cookie(&token).of(&app).await.says("alice by cookie");
    ask::get("/").bearer(&token).of(&app).await.refuses(401, "missing_token");
    let app = at(&issuer, [Location::Query]);
    ask::get(&format!("/?access_token={token}")).of(&app).await.says("alice by query");
    let app = at(&issuer, [Location::Json]);
    ask::post("/").json(&json).of(&app).await.says("alice by json");
    ask::post("/")
        .body("application/json;charset=UTF-8", json.to_string())
        .of(&app)
        .await
        .says("alice by json");
    ask::post("/").body("text/plain", json.to_string()).of(&app).await.refuses(401, "missing_token");
    let app = at(&issuer, [Location::Form]);
    ask::post("/").body(FORM, form.clone()).of(&app).await.says("alice by form");
    // RFC 6750 §2.2: a GET request's body is ignored.
    ask::get("/").body(FORM, form).of(&app).await.refuses(401, "missing_token");
}

#[tokio::test]
async fn more_than_one_token_is_refused_and_a_cookie_counts_last() {
    let issuer = TestIssuer::new();
    let all = [Location::Cookie, Location::Header, Location::Query, Location::Json, Location::Form];
    let app = at(&issuer, all);
    let (alice, bob) = (issuer.token("alice").sign(), issuer.token("bob").sign());
    let query = format!("/?access_token={alice}");
    ask::get("/").cookie(&bob).bearer(&alice).of(&app).await.says("alice by header");
    ask::get(&query).cookie(&bob).of(&app).await.says("alice by query");
    for several in [
        ask::get(&query).bearer(&alice),
        ask::get(&format!("{query}&access_token={bob}")),
        ask::get("/").bearer(&alice).bearer(&alice),
        ask::post("/").bearer(&alice).json(&json!({"access_token": alice})),
        ask::post("/").bearer(&alice).body(FORM, format!("access_token={alice}")),
        ask::post("/").body(FORM, format!("access_token={alice}&access_token={alice}")),
    ] {
        several.of(&app).await.refuses(400, "invalid_request");
    }
}

#[tokio::test]
async fn the_first_location_that_holds_a_token_can_be_made_to_decide() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let first = |order: [Location; 2]| at(&issuer, Locations::of(order).with_lookup(Lookup::FirstFound));
    let cookie_first = first([Location::Cookie, Location::Header]);
    let header_first = first([Location::Header, Location::Cookie]);
    let both = || ask::get("/").cookie(&token).bearer("corrupt");
    both().of(&cookie_first).await.says("alice by cookie");
    both().of(&header_first).await.refuses(401, "invalid_token");
    ask::get("/").cookie(&token).of(&header_first).await.says("alice by cookie");
    ask::get("/").of(&header_first).await.refuses(401, "missing_token");
}

#[tokio::test]
async fn every_name_can_be_another() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let names = Locations::of([Location::Header]).with_header(HeaderName::from_static("x-token"));
    let app = at(&issuer, names.clone().with_scheme("JWT"));
    ask::get("/").header("x-token", format!("JWT {token}")).of(&app).await.says("alice by header");
    ask::get("/").header("x-token", format!("jwt {token}")).of(&app).await.says("alice by header");
    ask::get("/").header("x-token", format!("Bearer {token}")).of(&app).await.refuses(401, "missing_token");
    ask::get("/")
        .header("authorization", format!("JWT {token}"))
        .of(&app)
        .await
        .refuses(401, "missing_token");
    let bare = at(&issuer, names.with_scheme(""));
    ask::get("/").header("x-token", &token).of(&bare).await.says("alice by header");
    ask::get("/").header("x-token", format!("a {token}")).of(&bare).await.refuses(401, "invalid_token");

    let app = at(&issuer, Locations::of([Location::Cookie]).with_cookies(&["session"]));
    ask::get("/").header("cookie", format!("a=b; session={token}")).of(&app).await.says("alice by cookie");
    ask::get("/").cookie(&token).of(&app).await.refuses(401, "missing_token");

    let app = at(&issuer, Locations::of([Location::Query]).with_query("jwt").with_query_prefix("bearer "));
    ask::get(&format!("/?jwt=bearer%20{token}")).of(&app).await.says("alice by query");
    ask::get(&format!("/?jwt={token}")).of(&app).await.refuses(401, "invalid_token");
    ask::get(&format!("/?access_token={token}")).of(&app).await.refuses(401, "missing_token");

    let app = at(&issuer, Locations::of([Location::Json]).with_members("auth", "renew"));
    ask::post("/").json(&json!({"auth": token})).of(&app).await.says("alice by json");
    ask::post("/").json(&json!({"access_token": token})).of(&app).await.refuses(401, "missing_token");
}

#[tokio::test]
async fn an_unsafe_request_by_cookie_repeats_the_value_of_its_token() {
    let issuer = TestIssuer::new();
    let app = at(&issuer, [Location::Header, Location::Cookie]);
    let token = issuer.token("alice").csrf("the-value").sign();
    ask::get("/").cookie(&token).of(&app).await.says("alice by cookie");
    let write = || ask::post("/").cookie(&token);
    write().of(&app).await.refuses(403, "csrf");
    write().header("x-csrf-token", "").of(&app).await.refuses(403, "csrf");
    write().header("x-csrf-token", "another").of(&app).await.refuses(403, "csrf");
    write().header("x-csrf-token", "the-value").of(&app).await.says("alice by cookie");
    // A header token needs no CSRF value: a browser never sends that header by itself.
    ask::post("/").bearer(&token).of(&app).await.says("alice by header");
    let plain = issuer.token("alice").sign();
    ask::post("/").cookie(&plain).header("x-csrf-token", "").of(&app).await.refuses(403, "csrf");
    ask::post("/").cookie(&plain).header("x-csrf-token", "x").of(&app).await.refuses(403, "csrf");
    ask::get("/").cookie(&plain).of(&app).await.says("alice by cookie");
}

#[tokio::test]
async fn how_the_value_is_repeated_can_be_configured() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").csrf("v").sign();
    let cookie = |csrf: Option<Csrf>| at(&issuer, Locations::of([Location::Cookie]).with_csrf(csrf));
    let write = || ask::post("/").cookie(&token);

    let app = cookie(Some(Csrf::default().in_header(HeaderName::from_static("x-xsrf"))));
    write().header("x-xsrf", "v").of(&app).await.says("alice by cookie");
    write().header("x-csrf-token", "v").of(&app).await.refuses(403, "csrf");

    let app = cookie(Some(Csrf::default().or_in_field("csrf_token")));
    write().body(FORM, "a=1&csrf_token=v").of(&app).await.says("alice by cookie");
    write().body(FORM, "csrf_token=w").of(&app).await.refuses(403, "csrf");
    // When the header is there, it decides.
    write().header("x-csrf-token", "w").body(FORM, "csrf_token=v").of(&app).await.refuses(403, "csrf");

    let app = cookie(Some(Csrf::default().at([Method::GET])));
    write().of(&app).await.says("alice by cookie");
    ask::get("/").cookie(&token).of(&app).await.refuses(403, "csrf");
    ask::get("/").cookie(&token).header("x-csrf-token", "v").of(&app).await.says("alice by cookie");

    write().of(&cookie(None)).await.says("alice by cookie");
}

#[tokio::test]
async fn a_refresh_token_goes_by_its_own_name_in_a_body() {
    use axum::routing::post;
    use countermark::http::{BodyTokens, UnverifiedRefreshToken};

    let issuer = TestIssuer::new();
    let app = |locations: Locations| {
        let guard = issuer.guard().with_locations(locations);
        let route =
            post(async |UnverifiedRefreshToken(token): UnverifiedRefreshToken| token.location().to_string());
        ask::router(guard.clone(), route).layer(BodyTokens::new(guard, 10_000))
    };
    let refresh = issuer.refresh_token();
    let both = Locations::of([Location::Json, Location::Form]);
    ask::post("/").json(&json!({"refresh_token": refresh})).of(&app(both.clone())).await.says("json");
    ask::post("/").body(FORM, format!("refresh_token={refresh}")).of(&app(both.clone())).await.says("form");
    let other = ask::post("/").json(&json!({"access_token": refresh})).of(&app(both.clone())).await;
    other.refuses(401, "missing_token");
    let renamed = both.with_members("auth", "renew");
    ask::post("/").json(&json!({"renew": refresh})).of(&app(renamed)).await.says("json");
    // A refresh token is not accepted in the query, because logs record the query.
    let query = app(Locations::of([Location::Query]));
    let query = ask::post(&format!("/?refresh_token={refresh}&access_token={refresh}")).of(&query).await;
    query.refuses(401, "missing_token");
}
