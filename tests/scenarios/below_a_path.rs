//! An issuer below a path: `https://host/id`, with a proxy that keeps the path, or takes it off.

use serde_json::{Value, json};
use tests::{
    Answer, World,
    world::{ADMIN, BILLING, Tokens},
};

const ISSUER: &str = "http://auth.test/id";
const BELOW: [(&str, &str); 2] = [("AUTH_ISSUER", ISSUER), ("RESOURCE_ISSUER", ISSUER)];

async fn login(world: &World, base: &str, delivery: &str) -> Answer {
    let body = json!({"email": ADMIN.0, "password": ADMIN.1, "delivery": delivery});
    world.auth().post(&format!("{base}/login")).json(&body).await
}

/// The main job, with the routes below `base`.
async fn works_below(world: &World, base: &str) {
    let path = |path: &str| format!("{base}{path}");
    let tokens = Tokens::of(&login(world, base, "body").await);
    assert_eq!(tokens.claims()["iss"], json!(ISSUER));
    world.auth().get(&path("/me")).bearer(&tokens.access).await.is(200);
    world.protected(&tokens.access).await.is(200);
    assert!(world.introspect(&tokens.access).await.active, "gRPC has no path");
    let refreshed = Tokens::of(&world.auth().post(&path("/refresh")).bearer(&tokens.refresh).await);
    let form = [("grant_type", "client_credentials"), ("scope", "documents:read")];
    world.auth().post(&path("/oauth/token")).basic(BILLING).form(&form).await.is(200);
    let refused = world.auth().post(&path("/oauth/token")).basic(BILLING).form(&[("grant_type", "x")]).await;
    refused.refuses_as_oauth(400, "unsupported_grant_type");
    let ended = world.auth().post(&path("/logout?wait=true")).bearer(&refreshed.access).await.is(200);
    assert_eq!(ended["complete"], json!(true));
    assert_eq!(world.protected(&refreshed.access).await.status, 401);
    let challenge = world.auth().get(&path("/me")).await;
    assert!(challenge.header("www-authenticate").unwrap().contains(ISSUER), "{challenge:?}");
}

/// What a client can find out, with the routes below `base`.
async fn is_found_below(world: &World, base: &str) {
    let path = |path: &str| format!("{base}{path}");
    let inserted = world.auth().get("/.well-known/oauth-authorization-server/id").await.is(200);
    let appended = world.auth().get(&path("/.well-known/oauth-authorization-server")).await.is(200);
    assert_eq!(inserted, appended);
    let openid = world.auth().get(&path("/.well-known/openid-configuration")).await.is(200);
    assert_eq!((&openid["issuer"], &inserted["issuer"]), (&json!(ISSUER), &json!(ISSUER)));
    for (name, url) in openid.as_object().unwrap() {
        let url = url.as_str().filter(|_| name.ends_with("_endpoint") || name.ends_with("_uri"));
        assert!(url.is_none_or(|url| url.starts_with("http://auth.test/id/")), "{name}: {url:?}");
    }
    world.auth().get(&path("/.well-known/jwks.json")).await.is(200);
    let document = world.auth().get(&path("/openapi.json")).await.is(200);
    assert_eq!(document["servers"], json!([{"url": "/id"}]));
    assert!(document["paths"]["/login"].is_object(), "paths are relative to the server");
    let page = world.auth().get(&path("/docs")).await;
    assert!(page.status == 200 && !page.text().contains("=\"/"), "the page has relative links");
    assert_eq!(world.auth().get(&path("/docs/page.js")).await.status, 200);
}

/// The `Set-Cookie` lines of an answer.
fn cookies(answer: &Answer) -> Vec<String> {
    answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// A browser's life by cookies, with the routes below `base`. The browser sees the issuer's path either way.
async fn browsers_work_below(world: &World, base: &str) {
    let answer = login(world, base, "cookie").await;
    let csrf = answer.is(200)["csrf"].as_str().unwrap().to_owned();
    let set = cookies(&answer);
    assert!(set[0].starts_with("__Host-access_token=") && set[0].contains("; Path=/; "), "{set:?}");
    assert!(set[1].contains("; Path=/id/refresh; "), "{set:?}");
    let pair = |line: &str| line.split(';').next().unwrap().to_owned();
    let refresh = world.auth().post(&format!("{base}/refresh")).header("cookie", pair(&set[1]));
    let refreshed = refresh.header("x-csrf-token", &csrf).await;
    refreshed.is(200);
    let set = cookies(&refreshed);
    let logout = world.auth().post(&format!("{base}/logout")).header("cookie", pair(&set[0]));
    let cleared = cookies(&logout.header("x-csrf-token", &csrf).await);
    assert!(
        cleared.iter().any(|line| line.contains("Max-Age=0") && line.contains("Path=/id/refresh;")),
        "{cleared:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_below_the_path_and_none_beside_it() {
    let world = World::with(&BELOW).await;
    works_below(&world, "/id").await;
    is_found_below(&world, "/id").await;
    browsers_work_below(&world, "/id").await;
    for path in ["/login", "/id", "/id/", "/idlogin", "/ID/login", "/id/id/login", "/.well-known/jwks.json"] {
        let answer = world.auth().post(path).json(&json!({})).await;
        answer.refuses(404, "not_found", "There is nothing here");
    }
    let metadata = world.auth().get("/.well-known/oauth-authorization-server").await;
    assert_eq!(metadata.status, 404, "that would be the issuer without a path");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_takes_the_path_off_the_same_works() {
    let world = World::with(&[BELOW[0], BELOW[1], ("AUTH_PATH_PREFIX", "stripped")]).await;
    works_below(&world, "").await;
    is_found_below(&world, "").await;
    browsers_work_below(&world, "").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_path_nothing_changes() {
    let world = World::with(&[("AUTH_PATH_PREFIX", "stripped")]).await;
    let document: Value = world.auth().get("/openapi.json").await.is(200);
    assert_eq!(document["servers"], Value::Null);
    let set = cookies(&login(&world, "", "cookie").await);
    assert!(set[1].contains("; Path=/refresh; "), "{set:?}");
    world.stop().await;
}
