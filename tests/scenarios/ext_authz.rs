//! Envoy asks resource-service over gRPC before it forwards a request. The test sends Envoy's messages to the port that
//! also serves HTTP.

use std::collections::HashMap;

use countermark_proto::envoy_auth_v3::{
    AttributeContext, CheckRequest, DeniedHttpResponse, OkHttpResponse,
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
        let own = [(":method", method), (":path", path), (":authority", "app.test"), ("host", "app.test")];
        let headers = own.iter().chain(headers);
        let http = HttpRequest {
            id: "1".into(),
            method: method.into(),
            headers: headers.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            path: path.into(),
            host: "app.test".into(),
            scheme: "https".into(),
        };
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
