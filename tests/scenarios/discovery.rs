//! What a client can discover: metadata, the `OpenAPI` document, and the page for trying the calls.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use tests::{Http, World, world::ISSUER};

#[tokio::test(flavor = "multi_thread")]
async fn both_metadata_documents_name_the_issuer_and_its_keys() {
    let world = World::new().await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = world.auth().get(path).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.is(200);
        assert_eq!(document["issuer"], json!(ISSUER), "exactly as in `iss`");
        assert_eq!(document["jwks_uri"], json!(format!("{ISSUER}/.well-known/jwks.json")));
        assert!(document["response_types_supported"].is_array(), "RFC 8414 asks for it: {document}");
        for implicit in ["password", "implicit"] {
            assert!(!document["grant_types_supported"].to_string().contains(implicit), "{document}");
        }
        // A metadata document names existing endpoints only: each of them answers.
        for (name, url) in document.as_object().unwrap() {
            let Some(path) =
                url.as_str().and_then(|url| url.strip_prefix(ISSUER)).filter(|path| !path.is_empty())
            else {
                continue;
            };
            let method = if name.ends_with("_endpoint") { Method::POST } else { Method::GET };
            let status = world.auth().ask(method, path).await.status;
            assert!(![404, 405].contains(&status), "{name}: {path} is {status}");
        }
    }
    let openid = world.auth().get("/.well-known/openid-configuration").await.is(200);
    assert_eq!(openid["subject_types_supported"], json!(["public"]));
    assert_eq!(openid["id_token_signing_alg_values_supported"], json!(["RS256"]));
    world.stop().await;
}

/// The routes of auth-service by the contract, with the pages about them.
const AUTH: [(&str, &str); 19] = [
    ("delete", "/sessions/{id}"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/.well-known/oauth-authorization-server"),
    ("get", "/.well-known/openid-configuration"),
    ("get", "/csrf"),
    ("get", "/docs"),
    ("get", "/docs/page.js"),
    ("get", "/me"),
    ("get", "/openapi.json"),
    ("get", "/sessions"),
    ("post", "/login"),
    ("post", "/logout"),
    ("post", "/logout-all"),
    ("post", "/oauth/introspect"),
    ("post", "/oauth/revoke"),
    ("post", "/oauth/token"),
    ("post", "/password"),
    ("post", "/refresh"),
    ("post", "/register"),
];

/// The same of resource-service.
const RESOURCE: [(&str, &str); 14] = [
    ("delete", "/documents/{id}"),
    ("get", "/admin"),
    ("get", "/claims"),
    ("get", "/docs"),
    ("get", "/docs/page.js"),
    ("get", "/documents"),
    ("get", "/documents/{id}"),
    ("get", "/fresh"),
    ("get", "/openapi.json"),
    ("get", "/optional"),
    ("get", "/protected-route"),
    ("post", "/documents"),
    ("post", "/expired"),
    ("put", "/documents/{id}"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_lists_every_route_and_no_other() {
    let world = World::new().await;
    let services: [(&Http, &[_]); 2] = [(world.auth(), &AUTH), (world.resource(), &RESOURCE)];
    for (http, expected) in services {
        let answer = http.get("/openapi.json").await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.is(200);
        assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
        let paths = document["paths"].as_object().unwrap();
        let mut listed: Vec<_> = paths
            .iter()
            .flat_map(|(path, calls)| {
                calls.as_object().unwrap().keys().map(move |method| (method.as_str(), path.as_str()))
            })
            .collect();
        listed.sort_unstable();
        assert_eq!(listed, expected);
        for (method, path) in listed {
            let method: Method = method.to_uppercase().parse().unwrap();
            let status = http.ask(method, path).await.status;
            assert!(![404, 405].contains(&status), "{path} is {status}");
        }
        http.get("/documents-of-nobody").await.refuses(404, "not_found", "There is nothing here");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_documents_describe_answers_and_credentials() {
    let world = World::new().await;
    for (http, count) in [(world.auth(), 5), (world.resource(), 1)] {
        let document = http.get("/openapi.json").await.is(200);
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        assert_eq!(schemes.len(), count, "{schemes:?}");
        let calls =
            document["paths"].as_object().unwrap().values().flat_map(|calls| calls.as_object().unwrap());
        let mut ids = BTreeSet::new();
        for (method, call) in calls {
            let id = call["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is there twice");
            assert!(call["responses"]["503"]["headers"]["Retry-After"].is_object(), "{method} {id}");
            for requirement in call["security"].as_array().into_iter().flatten() {
                assert!(
                    requirement.as_object().unwrap().keys().all(|name| schemes.contains_key(name)),
                    "{id}"
                );
            }
        }
    }
    let document = world.auth().get("/openapi.json").await.is(200);
    let login = &document["paths"]["/login"]["post"];
    for status in ["200", "400", "401", "429"] {
        assert!(login["responses"][status].is_object(), "{status}: {login}");
    }
    let shapes = &login["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"];
    assert_eq!(shapes.as_array().unwrap().len(), 2, "tokens in the body, or in cookies: {login}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let world = World::new().await;
    for http in [world.auth(), world.resource()] {
        let page = http.get("/docs").await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("http") && !policy.contains('*'), "nothing from elsewhere: {policy}");
        let mut sources = vec![("/docs".to_owned(), page.text().to_owned())];
        for attribute in ["src=\"", "href=\""] {
            for link in page.text().split(attribute).skip(1) {
                let link = link.split('"').next().unwrap();
                assert!(!link.contains(':') && !link.starts_with('/'), "{link} is elsewhere");
                // Relative to /docs, also below a path.
                let link = format!("/{link}");
                let answer = http.get(&link).await;
                assert_eq!(answer.status, 200, "{link}");
                sources.push((link, answer.text().to_owned()));
            }
        }
        assert!(sources.len() > 1, "the page has a script");
        for (path, source) in sources.iter().filter(|(path, _)| path.starts_with("/docs")) {
            for elsewhere in ["http://", "https://", "@import", "url("] {
                assert!(!source.contains(elsewhere), "{path} has {elsewhere}");
            }
        }
    }
    world.stop().await;
}
