//! Cookies: an expired one counts as absent where a token is optional, a strange one hides none of ours, and a handshake of a
//! `WebSocket` comes from a page of the host.

use axum::{
    Router,
    routing::{MethodFilter, MethodRouter, on},
};
use countermark::{
    http::{AccessToken, BodyTokens, Guard, Location, Locations, RequireToken},
    testing::TestIssuer,
    verify::Requirement,
};

use crate::ask::{self, Ask};

const LOCATIONS: [Location; 4] = [Location::Header, Location::Cookie, Location::Query, Location::Form];

fn route() -> MethodRouter<Guard> {
    let who = async |token: Option<AccessToken>| {
        token.map_or_else(|| "nobody".to_owned(), |token| token.sub.to_string())
    };
    on(MethodFilter::GET.or(MethodFilter::POST), who)
}

/// The route by its extractor, and below a layer.
fn apps(guard: &Guard) -> [Router; 2] {
    let layer = RequireToken::new(guard.clone(), Requirement::live()).optional();
    let bodies = BodyTokens::new(guard.clone(), 10_000);
    [ask::router(guard.clone(), route()).layer(bodies), ask::router(guard.clone(), route()).layer(layer)]
}

#[tokio::test]
async fn an_expired_cookie_counts_as_absent_and_nothing_else_does() {
    let issuer = TestIssuer::new();
    let expired = issuer.token("alice").csrf("v").expired().sign();
    let good = issuer.token("alice").csrf("v").sign();
    for app in apps(&issuer.guard().with_locations(LOCATIONS)) {
        ask::get("/").of(&app).await.says("nobody");
        ask::get("/").cookie(&good).of(&app).await.says("alice");
        ask::get("/").cookie(&expired).of(&app).await.says("nobody");
        // Nobody acts with it, so nobody has to prove anything.
        ask::post("/").cookie(&expired).of(&app).await.says("nobody");
        ask::get("/").cookie(&expired).bearer(&good).of(&app).await.says("alice");
        let refused: [Ask; 8] = [
            ask::get("/").bearer(&expired),
            ask::get("/").bearer(&expired).cookie(&good),
            ask::get(&format!("/?access_token={expired}")),
            ask::post("/").body("application/x-www-form-urlencoded", format!("access_token={expired}")),
            ask::get("/").cookie("broken"),
            ask::get("/").cookie(issuer.token("alice").claim("aud", "other").sign()),
            ask::get("/").cookie(issuer.token("alice").claim("aud", "other").expired().sign()),
            ask::get("/").cookie(&good[..good.len() - 4]),
        ];
        for ask in refused {
            ask.of(&app).await.refuses(401, "invalid_token");
        }
        ask::post("/").cookie(&good).of(&app).await.refuses(403, "csrf");
    }
}

#[tokio::test]
async fn where_a_token_is_required_an_expired_cookie_is_named() {
    let issuer = TestIssuer::new();
    let expired = issuer.token("alice").csrf("v").expired().sign();
    let app = ask::at(&issuer, LOCATIONS);
    let answer = ask::get("/").cookie(&expired).of(&app).await;
    assert_eq!((answer.status, &answer.json()["msg"]), (401, &"The token has expired".into()));
}

#[tokio::test]
async fn where_the_first_location_decides_it_does_so_with_an_expired_cookie_too() {
    let issuer = TestIssuer::new();
    let expired = issuer.token("alice").csrf("v").expired().sign();
    let guard = issuer.guard().with_locations(Locations::of(LOCATIONS)).flask_jwt_extended();
    for app in apps(&guard) {
        let cookie = ask::get("/").header("cookie", format!("access_token_cookie={expired}"));
        cookie.of(&app).await.refuses_with(401, "Token has expired");
    }
}

#[tokio::test]
async fn a_strange_cookie_of_the_same_name_does_not_hide_ours() {
    let issuer = TestIssuer::new();
    let app = ask::at(&issuer, [Location::Header, Location::Cookie]);
    let good = issuer.token("alice").csrf("v").sign();
    let strange = [
        "broken".to_owned(),
        "a.b.c".to_owned(),
        issuer.refresh_token(),
        issuer.token("mallory").forged(),
        issuer.token("mallory").claim("aud", "other").sign(),
        issuer.token("mallory").claim("iss", "http://other").sign(),
    ];
    for other in &strange {
        for name in ["__Host-access_token", "__Secure-access_token"] {
            for cookies in [
                format!("{name}={other}; __Secure-access_token={good}"),
                format!("__Secure-access_token={good}; {name}={other}"),
                format!("{name}={other}; x=y; {name}=\"{other}\"; {name}=more; __Secure-access_token={good}"),
            ] {
                ask::get("/").header("cookie", &cookies).of(&app).await.says("alice by cookie");
                ask::post("/").header("cookie", &cookies).of(&app).await.refuses(403, "csrf");
                let with_value = ask::post("/").header("cookie", &cookies).header("x-csrf-token", "v");
                with_value.of(&app).await.says("alice by cookie");
            }
        }
        ask::get("/").cookie(other).of(&app).await.refuses(401, "invalid_token");
    }
    // Few are verified.
    let mut many: Vec<_> = (0..9).map(|number| format!("__Host-access_token=broken{number}")).collect();
    many.push(format!("__Secure-access_token={good}"));
    let many = ask::get("/").header("cookie", many.join("; "));
    many.of(&app).await.refuses(401, "invalid_token");
    // An expired token is ours: nobody acts as somebody else when it is over.
    let expired = issuer.token("alice").csrf("v").expired().sign();
    let others = issuer.token("mallory").csrf("m").sign();
    let both = format!("__Host-access_token={expired}; __Secure-access_token={others}");
    let both = ask::get("/").header("cookie", both).of(&app).await;
    assert_eq!((both.status, &both.json()["msg"]), (401, &"The token has expired".into()));
}

#[tokio::test]
async fn a_websocket_by_cookie_has_to_come_from_a_page_of_its_host() {
    let issuer = TestIssuer::new();
    let app = ask::at(&issuer, [Location::Header, Location::Cookie]);
    let token = issuer.token("alice").csrf("the-value").sign();
    let handshake = || {
        let ask = ask::get("/").header("host", "app.example.com").header("upgrade", "websocket");
        ask.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let by_cookie = || handshake().cookie(&token);
    by_cookie().header("origin", "https://app.example.com").of(&app).await.says("alice by cookie");
    by_cookie().header("x-csrf-token", "the-value").of(&app).await.says("alice by cookie");
    by_cookie().of(&app).await.refuses(403, "csrf");
    by_cookie().header("origin", "https://evil.example").of(&app).await.refuses(403, "csrf");
    let wrong = by_cookie().header("origin", "https://app.example.com").header("x-csrf-token", "wrong");
    wrong.of(&app).await.refuses(403, "csrf");
    handshake().bearer(&token).of(&app).await.says("alice by header");
}
