//! Sends arbitrary requests. Nothing panics, no answer is 500, and no request is accepted without a valid token.

use axum::{Router, http::Method};
use countermark::{
    http::{Csrf, Location, Locations, Lookup},
    testing::TestIssuer,
};
use proptest::prelude::*;

use crate::ask::{self, Ask};

const EVERYWHERE: [Location; 5] =
    [Location::Header, Location::Cookie, Location::Query, Location::Json, Location::Form];

/// A router for each configuration of token locations.
fn routers(issuer: &TestIssuer) -> Vec<Router> {
    let everywhere = || Locations::of(EVERYWHERE).with_csrf(Csrf::default().or_in_field("csrf_token"));
    let flask = issuer.guard().flask_jwt_extended().with_locations(Locations::flask_jwt_extended(EVERYWHERE));
    vec![
        ask::at(issuer, everywhere()),
        ask::at(issuer, everywhere().with_lookup(Lookup::FirstFound).with_scheme("").with_query_prefix("x ")),
        ask::router(flask, axum::routing::any(ask::whoami)),
    ]
}

/// Text that often contains what the guard searches for.
fn text() -> impl Strategy<Value = String> {
    let likely = prop::sample::select(vec![
        "Bearer",
        " ",
        ",",
        "access_token",
        "refresh_token",
        "=",
        "&",
        ";",
        "rt_x",
        "a.b.c",
        "%",
        "%41",
        "\"",
        "{",
        "}",
        ":",
        "[",
        "null",
        "__Host-access_token",
        "jwt",
        "ü",
        "csrf_token",
        "\\u0061",
    ]);
    prop::collection::vec(prop_oneof![likely.prop_map(str::to_owned), "[ -~]{0,6}"], 0..8)
        .prop_map(|words| words.concat())
}

/// A request made of these texts. A text that is no valid header is left out.
fn request(
    method: &Method,
    [authorization, cookie, query, csrf, body]: &[String; 5],
    content_type: &'static str,
) -> Ask {
    let query: String = query.chars().filter(|letter| letter.is_ascii_graphic() && *letter != '#').collect();
    let uri = format!("/?{query}");
    let uri = if uri.parse::<axum::http::Uri>().is_ok() { uri } else { "/".into() };
    let mut asked = ask::ask(method.clone(), &uri);
    for (name, value) in [("authorization", authorization), ("cookie", cookie), ("x-csrf-token", csrf)] {
        if axum::http::HeaderValue::from_str(value).is_ok() {
            asked = asked.header(name, value);
        }
    }
    asked.body(content_type, body.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nobody_gets_in_by_noise_and_nothing_fails(
        method in prop::sample::select(vec![Method::GET, Method::POST]),
        texts in prop::array::uniform5(text()),
        content_type in prop::sample::select(vec![
            "application/json", "application/x-www-form-urlencoded", "text/plain", "application/vnd.x+json; a=b", ";",
        ]),
    ) {
        let issuer = TestIssuer::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for app in routers(&issuer) {
                let answer = request(&method, &texts, content_type).of(&app).await;
                assert!(matches!(answer.status, 400 | 401 | 403 | 422), "{answer:?}");
            }
        });
    }

    #[test]
    fn a_good_token_in_the_header_gets_in_whatever_the_cookies_say(cookie in text()) {
        let issuer = TestIssuer::new();
        let app = ask::at(&issuer, [Location::Cookie, Location::Header]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut asked = ask::get("/").bearer(issuer.token("alice").sign());
            if axum::http::HeaderValue::from_str(&cookie).is_ok() {
                asked = asked.header("cookie", &cookie);
            }
            asked.of(&app).await.says("alice by header");
        });
    }
}
