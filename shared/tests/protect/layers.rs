//! Layers and closed routers: protection of whole routers.

use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::{Next, from_fn},
    response::Response,
    routing::{any, get, post},
};
use countermark::{
    http::{AccessToken, ClosedRouter, Guard, Location, RequireToken},
    testing::TestIssuer,
    verify::Requirement,
};
use serde_json::json;

use crate::ask;

/// Routes that do not require a token themselves.
fn forgetful<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/a", get(async || "a").post(async || "posted"))
        .nest("/b", Router::new().route("/c", get(async || "c")))
}

fn is_closed(answer: &ask::Answer) {
    answer.refuses(401, "missing_token");
}

#[tokio::test]
async fn a_layer_protects_all_routes_below_it() {
    let issuer = TestIssuer::new();
    let layer = RequireToken::new(issuer.guard(), Requirement::live());
    let app: Router = forgetful().layer(layer).route("/open", get(async || "open"));
    let token = issuer.token("alice").sign();
    for path in ["/a", "/b/c"] {
        is_closed(&ask::get(path).of(&app).await);
        ask::get(path).bearer("x").of(&app).await.refuses(401, "invalid_token");
        assert_eq!(ask::get(path).bearer(&token).of(&app).await.status, 200);
    }
    ask::get("/open").of(&app).await.says("open");
}

#[tokio::test]
async fn a_layer_asks_scopes_roles_and_ages() {
    let issuer = TestIssuer::new();
    let requirement =
        Requirement::live().scope("write").role("admin").max_age(std::time::Duration::from_mins(5));
    let app: Router = forgetful().layer(RequireToken::new(issuer.guard(), requirement));
    let whole = || issuer.token("alice").scope("write").role("admin");
    ask::get("/a").bearer(whole().sign()).of(&app).await.says("a");
    ask::get("/a").bearer(whole().without("scope").sign()).of(&app).await.refuses(403, "insufficient_scope");
    ask::get("/a").bearer(whole().without("roles").sign()).of(&app).await.refuses(403, "insufficient_scope");
    let old = whole().refreshed(std::time::Duration::from_secs(301)).sign();
    ask::get("/a").bearer(old).of(&app).await.refuses(401, "insufficient_user_authentication");
}

#[tokio::test]
async fn an_optional_layer_lets_nobody_through_and_no_bad_token() {
    let issuer = TestIssuer::new();
    let app: Router = forgetful().layer(RequireToken::new(issuer.guard(), Requirement::live()).optional());
    ask::get("/a").of(&app).await.says("a");
    ask::get("/a").bearer("x").of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_closed_router_is_closed_but_for_what_is_public() {
    let issuer = TestIssuer::new();
    let app = ClosedRouter::new(issuer.guard())
        .merge(forgetful())
        .nest("/nested", forgetful())
        .route("/who", get(ask::whoami))
        .route("/mixed", post(async || "closed"))
        .public_route("/mixed", get(async || "public"))
        .public_route("/health", get(async || "healthy"))
        .public(Router::new().route("/docs", get(async || "docs")))
        .into_router()
        .with_state(issuer.guard());
    let token = issuer.token("alice").sign();
    for path in ["/a", "/b/c", "/nested/a", "/nested/b/c", "/who", "/nowhere", "/nested/nowhere"] {
        is_closed(&ask::get(path).of(&app).await);
    }
    for (path, said) in [("/a", "a"), ("/nested/b/c", "c"), ("/who", "alice by header")] {
        ask::get(path).bearer(&token).of(&app).await.says(said);
    }
    for (path, said) in [("/health", "healthy"), ("/docs", "docs"), ("/mixed", "public")] {
        ask::get(path).of(&app).await.says(said);
    }
    is_closed(&ask::post("/mixed").of(&app).await);
    ask::post("/mixed").bearer(&token).of(&app).await.says("closed");
    assert_eq!(ask::get("/nowhere").bearer(&token).of(&app).await.status, 404);
    is_closed(&ask::ask(Method::DELETE, "/a").of(&app).await);
    assert_eq!(ask::ask(Method::DELETE, "/a").bearer(&token).of(&app).await.status, 405);
}

#[tokio::test]
async fn a_fallback_of_a_closed_router_is_closed_too() {
    let issuer = TestIssuer::new();
    let files: Router = Router::new().fallback(async || "file");
    let app: Router = ClosedRouter::new(issuer.guard())
        .merge(files)
        .public_route("/health", get(async || "healthy"))
        .into_router();
    is_closed(&ask::get("/secret.txt").of(&app).await);
    ask::get("/secret.txt").bearer(issuer.token("alice").sign()).of(&app).await.says("file");
    ask::get("/health").of(&app).await.says("healthy");
}

#[tokio::test]
async fn a_fallback_below_a_path_of_a_closed_router_is_closed_too() {
    let issuer = TestIssuer::new();
    let files: Router = Router::new().route("/a", get(async || "a")).fallback(async || "file");
    let app: Router = ClosedRouter::new(issuer.guard()).nest("/files", files).into_router();
    for path in ["/files/a", "/files/secret.txt", "/files/", "/elsewhere"] {
        is_closed(&ask::get(path).of(&app).await);
    }
    ask::get("/files/secret.txt").bearer(issuer.token("alice").sign()).of(&app).await.says("file");
}

#[tokio::test]
async fn a_public_fallback_opens_no_closed_route() {
    let issuer = TestIssuer::new();
    let app: Router = ClosedRouter::new(issuer.guard())
        .merge(forgetful())
        .public(Router::new().fallback(async || "page"))
        .into_router();
    ask::get("/any/page").of(&app).await.says("page");
    for path in ["/a", "/b/c"] {
        is_closed(&ask::get(path).of(&app).await);
    }
    is_closed(&ask::ask(Method::DELETE, "/a").of(&app).await);
}

#[tokio::test]
async fn a_closed_router_keeps_its_locks_when_it_is_nested_merged_and_wrapped() {
    async fn outer(request: Request, next: Next) -> Response {
        next.run(request).await
    }

    let issuer = TestIssuer::new();
    let closed = || -> Router {
        ClosedRouter::new(issuer.guard())
            .merge(forgetful())
            .public_route("/open", get(async || "open"))
            .into_router()
    };
    let nested = Router::new().nest("/api/v1", closed()).route("/mine", get(async || "mine"));
    let merged = Router::new().route("/mine", get(async || "mine")).merge(closed());
    let wrapped = Router::new().nest("/x", Router::new().nest("/y", closed())).layer(from_fn(outer));
    for (app, prefix) in [(nested, "/api/v1"), (merged, ""), (wrapped, "/x/y")] {
        for path in ["/a", "/b/c"] {
            is_closed(&ask::get(&format!("{prefix}{path}")).of(&app).await);
            let asked = ask::get(&format!("{prefix}{path}")).bearer(issuer.token("alice").sign());
            assert_eq!(asked.of(&app).await.status, 200);
        }
        ask::get(&format!("{prefix}/open")).of(&app).await.says("open");
        if prefix != "/x/y" {
            ask::get("/mine").of(&app).await.says("mine");
        }
    }
}

#[tokio::test]
async fn an_extractor_below_a_layer_of_the_same_guard_verifies_no_second_time() {
    let issuer = TestIssuer::new();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    let guard = issuer.guard().with_check(move |_: &_, _: &_| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    });
    let layer = RequireToken::new(guard.clone(), Requirement::live());
    let app = Router::new().route("/", get(ask::whoami)).with_state(guard).layer(layer.clone());
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("alice by header");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);

    // A token that another guard accepted is verified again.
    let strict = issuer.guard().with_check(|_: &_, _: &_| Err(countermark::verify::AuthError::denied("no")));
    let app = Router::new().route("/", get(ask::whoami)).with_state(strict).layer(layer);
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.refuses(403, "access_denied");
}

#[tokio::test]
async fn routers_may_each_have_a_policy_of_their_own() {
    let issuer = TestIssuer::new();
    let route = |guard: Guard, path: &str| Router::new().route(path, get(ask::whoami)).with_state(guard);
    let by_cookie = issuer.guard().with_locations([Location::Cookie]);
    let app: Router = route(issuer.guard(), "/api").merge(route(by_cookie, "/pages"));
    let token = issuer.token("alice").sign();
    ask::get("/api").bearer(&token).of(&app).await.says("alice by header");
    ask::get("/pages").cookie(&token).of(&app).await.says("alice by cookie");
    is_closed(&ask::get("/api").cookie(&token).of(&app).await);
    is_closed(&ask::get("/pages").bearer(&token).of(&app).await);
}

#[tokio::test]
async fn options_needs_a_token_unless_it_is_exempt_and_is_never_a_failure() {
    let issuer = TestIssuer::new();
    let options = || ask::ask(Method::OPTIONS, "/");
    let routes = || Router::new().route("/", any(async || "any")).route("/who", any(ask::whoami));
    let app: Router =
        routes().with_state(issuer.guard()).layer(RequireToken::new(issuer.guard(), Requirement::live()));
    is_closed(&options().of(&app).await);

    let guard = issuer.guard().exempt_methods([Method::OPTIONS]);
    let app: Router = routes().with_state(guard.clone()).layer(RequireToken::new(guard, Requirement::live()));
    options().of(&app).await.says("any");
    is_closed(&ask::get("/").of(&app).await);
    let head = ask::ask(Method::HEAD, "/").of(&app).await;
    assert_eq!((head.status, head.text()), (401, ""));
    // A handler that takes a token refuses a request without one.
    is_closed(&ask::ask(Method::OPTIONS, "/who").of(&app).await);
}

#[tokio::test]
async fn a_layer_finds_tokens_in_bodies() {
    let issuer = TestIssuer::new();
    let guard = issuer.guard().with_locations([Location::Json]);
    let layer = RequireToken::new(guard.clone(), Requirement::live());
    let echo = async |token: AccessToken, body: String| format!("{}: {body}", token.sub);
    let app =
        Router::new().route("/", post(echo)).with_state(guard).layer(layer.clone().with_body_limit(2_000));
    let body = json!({"access_token": issuer.token("alice").sign(), "a": 1});
    ask::post("/").json(&body).of(&app).await.says(r#"alice: {"a":1}"#);
    let long = json!({"access_token": "x", "a": "x".repeat(2_000)});
    ask::post("/").json(&long).of(&app).await.refuses(413, "payload_too_large");
}
