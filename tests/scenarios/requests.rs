//! Checks that apply to every request on both public ports, independent of its route.

use std::{collections::BTreeSet, net::SocketAddr};

use reqwest::Method;
use serde_json::json;
use tests::{Http, World, world::ADMIN};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id_or_gets_one() {
    let world = World::new().await;
    let longest = "x".repeat(128);
    for http in [world.auth(), world.resource()] {
        for path in ["/openapi.json", "/nowhere", "/login", "/protected-route"] {
            for id in ["abc", "0123-abc.DEF:ghi_jkl", longest.as_str()] {
                let answer = http.get(path).header("x-request-id", id).await;
                assert_eq!(answer.header("x-request-id"), Some(id), "{path}");
            }
            let mut made = BTreeSet::new();
            let too_long = "x".repeat(129);
            for id in ["", "a b", "a\"b", "<script>", "{}", "\u{e4}", too_long.as_str()] {
                let answer = http.get(path).header("x-request-id", id).await;
                made.insert(answer.header("x-request-id").expect("one is made").to_owned());
            }
            made.insert(http.get(path).await.header("x-request-id").expect("one is made").to_owned());
            assert_eq!(made.len(), 8, "each request has an id of its own: {made:?}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_refused_in_every_member_of_every_body_and_called_null() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let token = world.login().await.access;
    let (auth, resource) = (world.auth(), world.resource());
    let document = json!({"title": "t", "body": "b"});
    let made = resource.post("/documents").bearer(&token).json(&document).await.is(201);
    let path = format!("/documents/{}", made["id"].as_str().unwrap());
    let login = json!({"email": "a@example.com", "password": "correct horse battery", "delivery": "body"});
    let register = json!({"email": "a@example.com", "password": "correct horse battery", "invite": "inv_x"});
    let password = json!({"current_password": ADMIN.1, "new_password": "correct horse battery"});
    let refresh = json!({"refresh_token": "rt_x"});
    let bodies = [
        (auth, Method::POST, "/login", &login),
        (auth, Method::POST, "/register", &register),
        (auth, Method::POST, "/password", &password),
        (auth, Method::POST, "/refresh", &refresh),
        (auth, Method::POST, "/logout", &refresh),
        (resource, Method::POST, "/documents", &document),
        (resource, Method::PUT, &path, &document),
    ];
    for (http, method, path, body) in bodies {
        for member in body.as_object().unwrap().keys() {
            let mut body = body.clone();
            body[member] = json!(null);
            let mut ask = http.ask(method.clone(), path).json(&body);
            if !matches!(path, "/refresh" | "/logout") {
                ask = ask.bearer(&token);
            }
            eprintln!("{path} {body}");
            ask.await.is_invalid_request(&format!("`{member}` is null"));
        }
    }
    // What else is wrong is still called what it is.
    let unknown = json!({"email": "a@example.com", "password": "b", "roles": null});
    auth.post("/login").json(&unknown).await.is_invalid_request("unknown field `roles`");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_a_route_does_not_take_are_distinguished() {
    let world = World::new().await;
    let nothing = "There is nothing here";
    for http in [world.auth(), world.resource()] {
        for path in ["/", "/nowhere", "/login/", "/.well-known", "/protected-route/x", "/%2e%2e/etc/passwd"] {
            http.get(path).await.refuses(404, "not_found", nothing);
            http.post(path).await.refuses(404, "not_found", nothing);
        }
    }
    let wrong = "This route does not take that method";
    let calls = [
        (world.auth(), Method::GET, "/login", "POST"),
        (world.auth(), Method::PUT, "/register", "POST"),
        (world.auth(), Method::DELETE, "/refresh", "POST"),
        (world.auth(), Method::POST, "/me", "GET"),
        (world.auth(), Method::POST, "/.well-known/jwks.json", "GET"),
        (world.auth(), Method::PATCH, "/openapi.json", "GET"),
        (world.resource(), Method::POST, "/protected-route", "GET"),
        (world.resource(), Method::GET, "/expired", "POST"),
        (world.resource(), Method::PUT, "/documents", "POST"),
        (world.resource(), Method::POST, "/documents/1", "PUT"),
    ];
    for (http, method, path, allowed) in calls {
        let answer = http.ask(method, path).await;
        answer.refuses(405, "method_not_allowed", wrong);
        let allow = answer.header("allow").expect("RFC 9110 §15.5.6 asks for Allow");
        assert!(allow.contains(allowed), "{path}: {allow}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_413_before_anything_else() {
    let world = World::new().await;
    let token = world.login().await.access;
    let most = 16 * 1024;
    for path in ["/login", "/register", "/refresh"] {
        for size in [most + 1, 100_000, 900_000] {
            let answer = world.auth().post(path).body("application/json", vec![b' '; size]).await;
            answer.refuses(413, "payload_too_large", "The request body is too large");
        }
    }
    let fits = json!({"email": ADMIN.0, "password": ADMIN.1}).to_string();
    let fits = format!("{fits}{}", " ".repeat(most - fits.len()));
    world.auth().post("/login").body("application/json", fits).await.is(200);
    for size in [64 * 1024 + 1, 900_000] {
        let ask = world.resource().post("/documents").bearer(&token);
        let answer = ask.body("application/json", vec![b' '; size]).await;
        answer.refuses(413, "payload_too_large", "The request body is too large");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_say_how_large_it_is_is_cut_off_too() {
    let world = World::new().await;
    let token = world.login().await.access;
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for (http, path, chunks) in [(world.auth(), "/login", 2), (world.resource(), "/documents", 5)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(http.address, &format!("{head}{}0\r\n\r\n", chunk.repeat(chunks))).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        assert!(answer.contains(r#"{"error":"payload_too_large""#), "{path}: {answer}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_over_32_kib_are_431() {
    let world = World::new().await;
    for http in [world.auth(), world.resource()] {
        let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(33 * 1024));
        let answer = raw(http.address, &large).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let fits = "x".repeat(20 * 1024);
        http.get("/").header("x-large", fits).await.refuses(404, "not_found", "There is nothing here");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_and_takes_nothing_down() {
    let world = World::new().await;
    let garbage = [
        "\r\n\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345",
        "GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n",
    ];
    for http in [world.auth(), world.resource()] {
        for request in garbage {
            let answer = raw(http.address, request).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
        }
        http.get("/nowhere").await.refuses(404, "not_found", "There is nothing here");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_call_only_when_they_are_named() {
    const APP: &str = "https://app.example.com";
    let world = World::with(&[("AUTH_CORS_ORIGINS", APP), ("RESOURCE_CORS_ORIGINS", APP)]).await;
    let closed = World::new().await;
    let preflight = async |http: &Http, origin: &str| {
        http.ask(Method::OPTIONS, "/login")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,x-csrf-token")
            .await
    };
    for http in [world.auth(), world.resource()] {
        let allowed = preflight(http, APP).await;
        assert_eq!(allowed.header("access-control-allow-origin"), Some(APP));
        assert_eq!(allowed.header("access-control-allow-credentials"), Some("true"));
        let refused = preflight(http, "https://evil.example.com").await;
        assert_eq!(refused.header("access-control-allow-origin"), None);
        let answer = http.get("/nowhere").header("origin", APP).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    }
    for http in [closed.auth(), closed.resource()] {
        assert_eq!(preflight(http, APP).await.header("access-control-allow-origin"), None);
        let answer = http.get("/nowhere").header("origin", APP).await;
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    world.stop().await;
    closed.stop().await;
}

/// Sends raw bytes, and reads until the other side closes the connection.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may have closed the connection before it read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(tests::PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}
