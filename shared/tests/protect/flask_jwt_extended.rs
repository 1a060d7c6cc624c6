//! The error profile of Flask-JWT-Extended. Statuses and bodies are those of its own tests.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderName, Method},
    routing::{MethodFilter, MethodRouter, get, on},
};
use countermark::{
    http::{
        AccessToken, AnyKindToken, BodyTokens, CurrentUser, ErrorAnswer, FlaskJwtExtended, FreshToken, Guard,
        LoadUser, Location, Locations, RequireToken, UnverifiedRefreshToken,
    },
    testing::TestIssuer,
    verify::{AuthError, Requirement, VerifiedToken},
};
use serde_json::json;

use crate::ask::{self, router, whoami};

const FORM: &str = "application/x-www-form-urlencoded";
const NO_HEADER: &str = "Missing Authorization Header";
const NO_SCHEME: &str =
    "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'";
const BAD_HEADER: &str = "Bad Authorization header. Expected 'Authorization: Bearer <JWT>'";

fn guard(issuer: &TestIssuer) -> Guard {
    issuer.guard().flask_jwt_extended()
}

fn by(locations: impl Into<Vec<Location>>) -> Locations {
    Locations::flask_jwt_extended(locations)
}

/// A route that looks for tokens at `locations`.
fn looking(issuer: &TestIssuer, locations: Locations) -> Router {
    whole(guard(issuer).with_locations(locations), on(MethodFilter::GET.or(MethodFilter::POST), whoami))
}

fn whole(guard: Guard, route: MethodRouter<Guard>) -> Router {
    router(guard.clone(), route).layer(BodyTokens::new(guard, 10_000))
}

#[tokio::test]
async fn bad_tokens_have_its_statuses_and_texts() {
    let issuer = TestIssuer::new();
    let app = router(guard(&issuer), get(whoami));
    let alice = || issuer.token("alice");
    ask::get("/").bearer(alice().sign()).of(&app).await.says("alice by header");
    for (token, status, msg) in [
        ("foobarbaz".to_owned(), 422, "Not enough segments"),
        ("aaaaa.bbbbb.ccccc".to_owned(), 422, "Invalid header padding"),
        ("bm90IEpTT04.e30.AA".to_owned(), 422, "Invalid header string"),
        (alice().header("alg", "none").sign(), 422, "The specified alg value is not allowed"),
        (alice().header("alg", "HS256").sign(), 422, "The specified alg value is not allowed"),
        (alice().header("crit", json!(["x"])).sign(), 422, "Unsupported critical extension"),
        (alice().forged(), 422, "Signature verification failed"),
        (alice().header("kid", "unknown").sign(), 422, "Signature verification failed"),
        (alice().header("kid", 1).sign(), 422, "Invalid header string"),
        (alice().without("sub").sign(), 422, "Missing claim: sub"),
        (alice().without("exp").sign(), 422, "Missing claim: exp"),
        (alice().claim("sub", 1234).sign(), 422, "Invalid payload string"),
        (alice().claim("exp", "soon").sign(), 422, "Invalid payload string"),
        (alice().claim("fresh", "yes").sign(), 422, "Invalid payload string"),
        (alice().without("aud").sign(), 422, "Token is missing the \"aud\" claim"),
        (alice().claim("aud", "other").sign(), 422, "Audience doesn't match"),
        (alice().without("iss").sign(), 422, "Token is missing the \"iss\" claim"),
        (alice().claim("iss", "http://other").sign(), 422, "Invalid issuer"),
        (alice().claim("nbf", 1_800_000_030).sign(), 422, "The token is not yet valid (nbf)"),
        (alice().expired().sign(), 401, "Token has expired"),
        (issuer.refresh_token(), 422, "Only non-refresh tokens are allowed"),
    ] {
        ask::get("/").bearer(token).of(&app).await.refuses_with(status, msg);
    }
    issuer.revoke_session("sid-alice");
    ask::get("/").bearer(alice().sign()).of(&app).await.refuses_with(401, "Token has been revoked");
}

#[tokio::test]
async fn the_header_may_be_a_list_and_is_read_as_there() {
    let issuer = TestIssuer::new();
    let app = router(guard(&issuer), get(whoami));
    let token = issuer.token("alice").sign();
    for value in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("Bearer {token}, Basic creds"),
        format!("Basic creds, Bearer {token}"),
        format!("Bearer {token} ,,"),
    ] {
        ask::get("/").header("authorization", value).of(&app).await.says("alice by header");
    }
    for value in
        [format!("Bearer {token}, Bearer {token}"), "Basic creds".into(), "Foo 1, Bar 2, Baz, 3".into()]
    {
        ask::get("/").header("authorization", value).of(&app).await.refuses_with(401, NO_SCHEME);
    }
    for value in ["Bearer ", "Bearer a b", "Foo 1, Bearer, Baz, 3", "Bearer ,,0"] {
        ask::get("/").header("authorization", value).of(&app).await.refuses_with(422, BAD_HEADER);
    }
    ask::get("/")
        .header("authorization", "Foo 1, Bearer 2, Baz, 3")
        .of(&app)
        .await
        .refuses_with(422, "Not enough segments");
    for blank in ["", " ", ","] {
        ask::get("/").header("authorization", blank).of(&app).await.refuses_with(401, NO_HEADER);
    }
    ask::get("/").of(&app).await.refuses_with(401, NO_HEADER);
    // Two header lines form one list.
    let two = ask::get("/").header("authorization", "Basic creds").bearer(&token);
    two.of(&app).await.says("alice by header");
}

#[tokio::test]
async fn header_name_and_type_can_be_others() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let app = looking(&issuer, by([Location::Header]).with_header(HeaderName::from_static("foo")));
    ask::get("/").bearer(&token).of(&app).await.refuses_with(401, "Missing Foo Header");
    ask::get("/").header("foo", format!("Bearer {token}")).of(&app).await.says("alice by header");
    ask::get("/").header("foo", format!("Basic x, Bearer {token}")).of(&app).await.says("alice by header");
    let app = looking(&issuer, by([Location::Header]).with_scheme("JWT"));
    let missing = "Missing 'JWT' type in 'Authorization' header. Expected 'Authorization: JWT <JWT>'";
    ask::get("/").bearer(&token).of(&app).await.refuses_with(401, missing);
    ask::get("/").header("authorization", format!("JWT {token}")).of(&app).await.says("alice by header");
    let app = looking(&issuer, by([Location::Header]).with_scheme(""));
    ask::get("/").header("authorization", &token).of(&app).await.says("alice by header");
    let bad = "Bad Authorization header. Expected 'Authorization: <JWT>'";
    ask::get("/").header("authorization", format!("Bearer {token}")).of(&app).await.refuses_with(422, bad);
}

#[tokio::test]
async fn an_optional_route_takes_nobody_but_no_bad_token() {
    let issuer = TestIssuer::new();
    let optional =
        get(async |token: Option<AccessToken>| token.map_or("nobody".into(), |token| token.sub.to_string()));
    let app = router(guard(&issuer), optional);
    ask::get("/").of(&app).await.says("nobody");
    ask::get("/").header("authorization", "basic creds").of(&app).await.says("nobody");
    ask::get("/").header("authorization", "Foo 1, Bar 2, Baz, 3").of(&app).await.says("nobody");
    ask::get("/").header("authorization", "Bearer ").of(&app).await.refuses_with(422, BAD_HEADER);
    ask::get("/").bearer("xxx").of(&app).await.refuses_with(422, "Not enough segments");
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice");
    ask::get("/")
        .bearer(issuer.refresh_token())
        .of(&app)
        .await
        .refuses_with(422, "Only non-refresh tokens are allowed");
    ask::get("/")
        .bearer(issuer.token("alice").expired().sign())
        .of(&app)
        .await
        .refuses_with(401, "Token has expired");
}

#[tokio::test]
async fn fresh_refresh_and_any_kind_routes_answer_as_there() {
    let issuer = TestIssuer::new();
    let fresh = router(guard(&issuer), get(async |token: FreshToken| token.sub.to_string()));
    let stale = issuer.token("alice").refreshed(Duration::ZERO).sign();
    ask::get("/").bearer(issuer.token("alice").sign()).of(&fresh).await.says("alice");
    ask::get("/").bearer(&stale).of(&fresh).await.refuses_with(401, "Fresh token required");
    ask::get("/").of(&fresh).await.refuses_with(401, NO_HEADER);
    ask::get("/")
        .bearer(issuer.refresh_token())
        .of(&fresh)
        .await
        .refuses_with(422, "Only non-refresh tokens are allowed");

    let refresh = router(guard(&issuer), get(async |_: UnverifiedRefreshToken| "refresh"));
    ask::get("/").bearer(issuer.refresh_token()).of(&refresh).await.says("refresh");
    ask::get("/").bearer(&stale).of(&refresh).await.refuses_with(422, "Only refresh tokens are allowed");
    ask::get("/").of(&refresh).await.refuses_with(401, NO_HEADER);

    let any = router(guard(&issuer), get(async |_: AnyKindToken| "any"));
    ask::get("/").bearer(issuer.refresh_token()).of(&any).await.says("any");
    ask::get("/").bearer(&stale).of(&any).await.says("any");
    ask::get("/").of(&any).await.refuses_with(401, NO_HEADER);
}

#[tokio::test]
async fn cookies_and_their_csrf_values_answer_as_there() {
    let issuer = TestIssuer::new();
    let app = looking(&issuer, by([Location::Cookie]));
    let token = issuer.token("alice").csrf("v").sign();
    let sent = |token: &str| format!("access_token_cookie={token}");
    let (get, post) =
        (|| ask::get("/").header("cookie", sent(&token)), || ask::post("/").header("cookie", sent(&token)));
    get().of(&app).await.says("alice by cookie");
    ask::get("/").of(&app).await.refuses_with(401, "Missing cookie \"access_token_cookie\"");
    ask::get("/")
        .header("cookie", "access_token_cookie=")
        .of(&app)
        .await
        .refuses_with(401, "Missing cookie \"access_token_cookie\"");
    post().of(&app).await.refuses_with(401, "Missing CSRF token");
    post().header("x-csrf-token", "").of(&app).await.refuses_with(401, "Missing CSRF token");
    post()
        .header("x-csrf-token", "w")
        .of(&app)
        .await
        .refuses_with(401, "CSRF double submit tokens do not match");
    post().header("x-csrf-token", "v").of(&app).await.says("alice by cookie");
    let plain = sent(&issuer.token("alice").sign());
    let plain = ask::post("/").header("cookie", plain).header("x-csrf-token", "v").of(&app).await;
    plain.refuses_with(422, "Missing claim: csrf");
    // An optional route also requires the CSRF value when a cookie is there.
    let optional = on(MethodFilter::POST, async |token: Option<AccessToken>| token.is_some().to_string());
    let app = whole(guard(&issuer).with_locations(by([Location::Cookie])), optional);
    ask::post("/").of(&app).await.says("false");
    post().of(&app).await.refuses_with(401, "Missing CSRF token");
}

#[tokio::test]
async fn query_and_json_answer_as_there() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let app = looking(&issuer, by([Location::Query]));
    ask::get(&format!("/?jwt={token}")).of(&app).await.says("alice by query");
    ask::get("/").bearer(&token).of(&app).await.refuses_with(401, "Missing 'jwt' query paramater");
    ask::get("/?jwt=").of(&app).await.refuses_with(401, "Missing 'jwt' query paramater");
    let app = looking(&issuer, by([Location::Query]).with_query_prefix("bearer "));
    ask::get(&format!("/?jwt=bearer%20{token}")).of(&app).await.says("alice by query");
    let bad = "Invalid value for query parameter 'jwt'. Expected the value to start with 'bearer '";
    ask::get(&format!("/?jwt={token}")).of(&app).await.refuses_with(422, bad);
    let app = looking(&issuer, by([Location::Query]).with_query("foo"));
    ask::get(&format!("/?jwt={token}")).of(&app).await.refuses_with(401, "Missing 'foo' query paramater");
    ask::get(&format!("/?foo={token}")).of(&app).await.says("alice by query");

    let app = looking(&issuer, by([Location::Json]));
    let body = json!({"access_token": token}).to_string();
    for content_type in ["application/json", "application/json;charset=UTF-8", "application/vnd.api+json"] {
        ask::post("/").body(content_type, body.clone()).of(&app).await.says("alice by json");
    }
    let other = ask::post("/").body(FORM, format!("access_token={token}")).of(&app).await;
    other.refuses_with(401, "Invalid content-type. Must be application/json.");
    for empty in ["", "{", "{}", "null", "[]", r#"{"access_token":""}"#, r#"{"access_token":null}"#] {
        let answer = ask::post("/").body("application/json", empty).of(&app).await;
        answer.refuses_with(401, "Missing \"access_token\" key in json data.");
    }
    ask::post("/")
        .body("application/json", r#"{"access_token":1}"#)
        .of(&app)
        .await
        .refuses_with(422, "Invalid token type");
    let app = looking(&issuer, by([Location::Json]).with_members("foo", "bar"));
    ask::post("/")
        .body("application/json", body)
        .of(&app)
        .await
        .refuses_with(401, "Missing \"foo\" key in json data.");
    ask::post("/").json(&json!({"foo": token})).of(&app).await.says("alice by json");
}

#[tokio::test]
async fn of_several_locations_the_first_that_holds_a_token_decides() {
    let issuer = TestIssuer::new();
    let (good, corrupt) = (issuer.token("alice").csrf("v").sign(), "aaaaa.bbbbb.ccccc");
    let cookie = |token: &str| format!("access_token_cookie={token}");
    let cookies_headers = looking(&issuer, by([Location::Cookie, Location::Header]));
    let headers_cookies = looking(&issuer, by([Location::Header, Location::Cookie]));
    let both = || ask::get("/").header("cookie", cookie(&good)).bearer(corrupt);
    both().of(&cookies_headers).await.says("alice by cookie");
    both().of(&headers_cookies).await.refuses_with(422, "Invalid header padding");
    ask::get("/").bearer(&good).of(&cookies_headers).await.says("alice by header");
    // An invalid token ends the search.
    let no_csrf = ask::post("/").header("cookie", cookie(&good)).bearer(&good);
    no_csrf.of(&cookies_headers).await.refuses_with(401, "Missing CSRF token");
    let expired = issuer.token("alice").expired().sign();
    let expired = ask::get("/").header("cookie", cookie(&expired)).bearer(&good);
    expired.of(&cookies_headers).await.refuses_with(401, "Token has expired");

    let none = "Missing JWT in cookies or headers (Missing cookie \"access_token_cookie\"; Missing Authorization Header)";
    ask::get("/").of(&cookies_headers).await.refuses_with(401, none);
    let four = looking(&issuer, by([Location::Json, Location::Query, Location::Cookie, Location::Header]));
    let none = "Missing JWT in json, query_string, cookies or headers (Invalid content-type. Must be application/json.; \
                Missing 'jwt' query paramater; Missing cookie \"access_token_cookie\"; Missing Authorization Header)";
    ask::get("/").of(&four).await.refuses_with(401, none);
}

struct Nobody;

impl LoadUser<Guard> for Nobody {
    async fn load(_: &VerifiedToken, _: &Guard) -> Result<Option<Self>, ErrorAnswer> {
        Ok(None)
    }
}

#[tokio::test]
async fn checks_and_users_answer_as_there_and_the_message_may_have_another_name() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    let denying = guard(&issuer).with_check(|_: &_, _: &_| Err(AuthError::denied("no")));
    let app = router(denying, get(whoami));
    ask::get("/").bearer(&token).of(&app).await.refuses_with(400, "User claims verification failed");
    let app = router(guard(&issuer), get(async |_: CurrentUser<Nobody>| "somebody"));
    ask::get("/").bearer(&token).of(&app).await.refuses_with(401, "Error loading the user alice");
    let renamed = guard(&issuer).with_renderer(FlaskJwtExtended::with_message_key("message"));
    let answer = ask::get("/").of(&router(renamed, get(whoami))).await;
    assert_eq!((answer.status, answer.json()), (401, json!({"message": NO_HEADER})));
}

#[tokio::test]
async fn layers_let_options_through_and_no_other_method() {
    let issuer = TestIssuer::new();
    let app: Router = Router::new()
        .route("/", axum::routing::any(async || "any"))
        .layer(RequireToken::new(guard(&issuer), Requirement::live()));
    ask::ask(Method::OPTIONS, "/").of(&app).await.says("any");
    ask::get("/").of(&app).await.refuses_with(401, NO_HEADER);
    let head = ask::ask(Method::HEAD, "/").of(&app).await;
    assert_eq!((head.status, head.text()), (401, ""));
}
