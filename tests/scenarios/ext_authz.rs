//! Envoy asks resource-service over gRPC before it forwards a request. The test sends Envoy's messages to the port that
//! also serves HTTP.

use std::collections::HashMap;

use countermark_proto::envoy_auth_v3::{
    AttributeContext, CheckRequest, DeniedHttpResponse, HeaderMap, HeaderValue, OkHttpResponse,
    attribute_context::{HttpRequest, Request},
    authorization_client::AuthorizationClient,
    check_response::HttpResponse,
    header_value_option::HeaderAppendAction,
};
use serde_json::{Value, json};
use tests::{
    World,
    grpc::Grpc,
    world::{ADMIN, PLAIN},
};
use tonic::Code;

use crate::forward_auth::{by_cookie, world};

/// Envoy, which asks about requests.
struct Envoy<'w> {
    world: &'w World,
    extensions: HashMap<String, String>,
}

impl<'w> Envoy<'w> {
    fn before(world: &'w World) -> Self {
        Self { world, extensions: HashMap::new() }
    }

    /// Returns the gRPC code and Envoy's instructions.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (Code, HttpResponse) {
        let headers: Vec<_> = headers.iter().map(|&(name, value)| (name, value.as_bytes())).collect();
        self.ask_about(http(method, path, &headers)).await
    }

    async fn ask_about(&self, http: HttpRequest) -> (Code, HttpResponse) {
        let attributes = AttributeContext {
            request: Some(Request { http: Some(http) }),
            context_extensions: self.extensions.clone(),
        };
        self.check(CheckRequest { attributes: Some(attributes) }).await
    }

    async fn check(&self, request: CheckRequest) -> (Code, HttpResponse) {
        let channel = Grpc::at(self.world.resource().address).channel();
        let answer = AuthorizationClient::new(channel).check(request).await.expect("an answer").into_inner();
        (Code::from(answer.status.expect("a status").code), answer.http_response.expect("what to do"))
    }

    async fn admits(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> OkHttpResponse {
        match self.ask(method, path, headers).await {
            (Code::Ok, HttpResponse::OkResponse(ok)) => ok,
            other => panic!("{other:?}"),
        }
    }

    async fn denies(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Code, i32, Value, DeniedHttpResponse) {
        match self.ask(method, path, headers).await {
            (code, HttpResponse::DeniedResponse(denied)) => {
                let body: Value = serde_json::from_str(&denied.body).unwrap();
                (code, denied.status.unwrap().code, body["error"].clone(), denied)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A request as Envoy describes it.
fn http(method: &str, path: &str, headers: &[(&str, &[u8])]) -> HttpRequest {
    let own = [(":method", method), (":path", path), (":authority", "app.test")];
    let own = own.iter().map(|&(name, value)| (name, value.as_bytes()));
    let headers = own.chain(headers.iter().copied());
    HttpRequest {
        id: "1".into(),
        method: method.into(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        path: path.into(),
        host: "app.test".into(),
        scheme: "https".into(),
        header_map: None,
    }
}

/// The same with `encode_raw_headers`.
fn raw(http: HttpRequest) -> HttpRequest {
    let headers = http.headers.into_iter();
    let headers = headers.map(|(key, raw_value)| HeaderValue { key, value: String::new(), raw_value });
    let header_map = Some(HeaderMap { headers: headers.collect() });
    HttpRequest { headers: HashMap::new(), header_map, ..http }
}

/// The headers that replace the client's own, and the headers that are removed.
fn identity(ok: &OkHttpResponse) -> (Vec<(&str, &str)>, Vec<&str>) {
    let overwrite = i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd);
    assert!(ok.headers.iter().all(|option| option.append_action == overwrite), "{ok:?}");
    let set = ok.headers.iter().map(|option| option.header.as_ref().unwrap());
    let mut set: Vec<_> = set.map(|header| (header.key.as_str(), header.value.as_str())).collect();
    set.sort_unstable();
    let mut removed: Vec<_> = ok.headers_to_remove.iter().map(String::as_str).collect();
    removed.sort_unstable();
    (set, removed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_let_in_has_its_callers_identity_and_no_other() {
    let (world, _rules) = world(&[]).await;
    let envoy = Envoy::before(&world);
    let (admin, plain) = (world.login().await, world.login_as(PLAIN).await);
    let bearer = format!("Bearer {}", admin.access);
    let spoofed = [("authorization", bearer.as_str()), ("x-auth-subject", "root"), ("x-auth-roles", "root")];
    let ok = envoy.admits("GET", "/admin/users?page=2", &spoofed).await;
    let claims = admin.claims();
    let (set, removed) = identity(&ok);
    let expected = [
        ("x-auth-client", "first-party"),
        ("x-auth-email", ADMIN.0),
        ("x-auth-roles", "admin"),
        ("x-auth-scope", "documents:read documents:write"),
        ("x-auth-subject", claims["sub"].as_str().unwrap()),
    ];
    assert_eq!((set, removed), (expected.to_vec(), vec![]));
    let bearer = format!("Bearer {}", plain.access);
    let ok = envoy.admits("GET", "/app", &[("authorization", &bearer), ("x-auth-roles", "root")]).await;
    let (set, removed) = identity(&ok);
    assert_eq!((set.len(), removed), (4, vec!["x-auth-roles"]));
    let all = ["x-auth-client", "x-auth-email", "x-auth-roles", "x-auth-scope", "x-auth-subject"];
    for path in ["/public/style.css", "/welcome"] {
        let ok = envoy.admits("GET", path, &[("x-auth-subject", "root")]).await;
        assert_eq!(identity(&ok), (vec![], all.to_vec()), "{path}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_the_contracts_with_its_challenge() {
    let (world, _rules) = world(&[]).await;
    let envoy = Envoy::before(&world);
    let (code, status, error, denied) = envoy.denies("GET", "/app", &[]).await;
    assert_eq!((code, status, error), (Code::Unauthenticated, 401, json!("missing_token")));
    let header = |name: &str| {
        let mut headers = denied.headers.iter().map(|option| option.header.as_ref().unwrap());
        headers.find(|header| header.key == name).map(|header| header.value.clone())
    };
    assert_eq!(header("www-authenticate").unwrap(), "Bearer realm=\"resource-service\"");
    assert_eq!(header("content-type").unwrap(), "application/json");
    assert_eq!(header("cache-control").unwrap(), "no-store");
    assert_eq!(header("content-length"), None);
    let plain = format!("Bearer {}", world.login_as(PLAIN).await.access);
    let plain = [("authorization", plain.as_str())];
    let (code, status, error, _) = envoy.denies("GET", "/admin/users", &plain).await;
    assert_eq!((code, status, error), (Code::PermissionDenied, 403, json!("insufficient_scope")));
    for path in
        ["/public/../admin", "/public/%2e%2e/admin", "/public%2f..%2fadmin", "//admin", "/nowhere", "*"]
    {
        let (code, status, error, _) = envoy.denies("GET", path, &plain).await;
        assert_eq!((code, status, error), (Code::PermissionDenied, 403, json!("forbidden")), "{path}");
    }
    // Envoy joins two headers of one name with a comma.
    let two = format!("{},Bearer x", plain[0].1);
    let (_, status, error, _) = envoy.denies("GET", "/app", &[("authorization", &two)]).await;
    assert_eq!((status, error), (401, json!("invalid_token")));
    // A check without a request.
    let empty = envoy.check(CheckRequest::default()).await;
    assert!(matches!(&empty, (Code::PermissionDenied, HttpResponse::DeniedResponse(_))), "{empty:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_envoys_may_ask_more() {
    let (world, _rules) = world(&[]).await;
    let plain = format!("Bearer {}", world.login_as(PLAIN).await.access);
    let plain = [("authorization", plain.as_str())];
    let mut envoy = Envoy::before(&world);
    envoy.extensions = [("role".to_owned(), "admin".to_owned())].into();
    let (_, status, error, _) = envoy.denies("GET", "/app", &plain).await;
    assert_eq!((status, error), (403, json!("insufficient_scope")));
    envoy.extensions = [("scope".to_owned(), "documents:read documents:write".to_owned())].into();
    envoy.admits("GET", "/app", &plain).await;
    envoy.extensions = [("scopes".to_owned(), "documents:read".to_owned())].into();
    let (_, status, error, _) = envoy.denies("GET", "/app", &plain).await;
    assert_eq!((status, error), (400, json!("invalid_request")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_cookie_an_unsafe_method_needs_the_csrf_value() {
    let (world, _rules) = world(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let envoy = Envoy::before(&world);
    let (cookie, csrf) = by_cookie(&world).await;
    let cookie = cookie.as_str();
    envoy.admits("GET", "/app", &[("cookie", cookie)]).await;
    let (_, status, error, _) = envoy.denies("POST", "/app", &[("cookie", cookie)]).await;
    assert_eq!((status, error), (403, json!("csrf")));
    envoy.admits("POST", "/app", &[("cookie", cookie), ("x-csrf-token", &csrf)]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_another_program_may_hold_any_bytes_in_both_forms_of_envoys_message() {
    let (world, _rules) = world(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let envoy = Envoy::before(&world);
    let (cookie, _) = by_cookie(&world).await;
    let bearer = format!("Bearer {}", world.login_as(PLAIN).await.access);
    for odd in [b"utm=Unders\xc3\xb8gelse".as_slice(), b"utm=Unders\xf8gelse", b"\xff\xfe", b"a=\x80;b"] {
        let cookies = [odd, b"; ", cookie.as_bytes()].concat();
        for headers in [
            [("cookie", cookies.as_slice()), ("x-utm", odd)],
            [("authorization", bearer.as_bytes()), ("referer", odd)],
        ] {
            let request = http("GET", "/app", &headers);
            for request in [request.clone(), raw(request)] {
                let (code, _) = envoy.ask_about(request).await;
                assert_eq!(code, Code::Ok, "{headers:?}");
            }
        }
    }
    // Two headers of one name stay two.
    let mut two = raw(http("GET", "/app", &[("authorization", bearer.as_bytes())]));
    let headers = &mut two.header_map.as_mut().unwrap().headers;
    let again = headers.iter().find(|header| header.key == "authorization").unwrap().clone();
    headers.push(again);
    assert_eq!(envoy.ask_about(two).await.0, Code::PermissionDenied);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_spelling_of_an_identity_header_is_removed() {
    let (world, _rules) = world(&[]).await;
    let envoy = Envoy::before(&world);
    let bearer = format!("Bearer {}", world.login().await.access);
    // All characters that a name may have between its words.
    let marks = "!#$%&'*+-.^_`|~";
    for word in ["subject", "email", "roles", "scope", "client"] {
        let pairs = marks.chars().flat_map(|first| marks.chars().map(move |second| (first, second)));
        let mut aliases: Vec<_> = pairs
            .filter(|&pair| pair != ('-', '-'))
            .map(|(first, second)| format!("x{first}auth{second}{word}"))
            .collect();
        let mut headers: Vec<_> = aliases.iter().map(|alias| (alias.as_str(), b"root".as_slice())).collect();
        headers.extend([
            ("authorization", bearer.as_bytes()),
            ("x-auth-method", b"kept"),
            ("x_author", b"kept"),
        ]);
        for request in [http("GET", "/app", &headers), raw(http("GET", "/app", &headers))] {
            let (Code::Ok, HttpResponse::OkResponse(ok)) = envoy.ask_about(request).await else {
                panic!("refused")
            };
            aliases.sort_unstable();
            assert_eq!(identity(&ok).1, aliases, "{word}");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_by_cookie_has_to_come_from_the_host_that_it_asks() {
    let (world, _rules) = world(&[("RESOURCE_TOKEN_LOCATIONS", "header,cookie")]).await;
    let envoy = Envoy::before(&world);
    let (cookie, csrf) = by_cookie(&world).await;
    let handshake = [("cookie", cookie.as_str()), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let from = |more: &[(&'static str, &'static str)]| [&handshake[..], more].concat();
    envoy.admits("GET", "/app", &from(&[("origin", "https://app.test")])).await;
    envoy.admits("GET", "/app", &[from(&[]), vec![("x-csrf-token", csrf.as_str())]].concat()).await;
    for origin in [&[("origin", "https://evil.test")][..], &[("origin", "null")], &[]] {
        let (_, status, error, _) = envoy.denies("GET", "/app", &from(origin)).await;
        assert_eq!((status, error), (403, json!("csrf")), "{origin:?}");
    }
    world.stop().await;
}
