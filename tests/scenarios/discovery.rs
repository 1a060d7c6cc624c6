//! What a client can discover: metadata, the `OpenAPI` document, and the page for trying the calls.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use tests::{World, world::ISSUER};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_lists_every_route_and_no_other() {
    let world = World::new().await;
    let answer = world.auth().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.is(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    let listed: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            calls.as_object().unwrap().keys().map(move |method| (method.as_str(), path.as_str()))
        })
        .collect();
    let expected = [
        ("post", "/register"),
        ("post", "/login"),
        ("post", "/refresh"),
        ("get", "/me"),
        ("get", "/.well-known/jwks.json"),
        ("get", "/.well-known/oauth-authorization-server"),
        ("get", "/.well-known/openid-configuration"),
    ];
    for call in expected {
        assert!(listed.contains(&call), "{call:?} is not listed");
    }
    for (method, path) in listed {
        let method: Method = method.to_uppercase().parse().unwrap();
        let status = world.auth().ask(method, path).await.status;
        assert!(![404, 405].contains(&status), "{path} is {status}");
    }
    // The document describes the answers of a call, not only the call.
    let login = &document["paths"]["/login"]["post"];
    for status in ["200", "400", "401"] {
        assert!(login["responses"][status].is_object(), "{status}: {login}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let world = World::new().await;
    let page = world.auth().get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "nothing from elsewhere: {policy}");
    let mut sources = vec![("/docs".to_owned(), page.text().to_owned())];
    for attribute in ["src=\"", "href=\""] {
        for link in page.text().split(attribute).skip(1) {
            let link = link.split('"').next().unwrap();
            assert!(link.starts_with('/') && !link.starts_with("//"), "{link} is elsewhere");
            let answer = world.auth().get(link).await;
            assert_eq!(answer.status, 200, "{link}");
            sources.push((link.to_owned(), answer.text().to_owned()));
        }
    }
    assert!(sources.len() > 1, "the page has a script");
    for (path, source) in sources.iter().filter(|(path, _)| path.starts_with("/docs")) {
        for elsewhere in ["http://", "https://", "@import", "url("] {
            assert!(!source.contains(elsewhere), "{path} has {elsewhere}");
        }
    }
    world.stop().await;
}
