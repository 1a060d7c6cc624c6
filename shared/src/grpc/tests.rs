//! A guarded service in the same process, called over the wire.

use std::{pin::Pin, sync::Arc, time::Duration};

use ::http::{HeaderMap, header::AUTHORIZATION};
use countermark_proto::auth_v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, Claims as WireClaims, IntrospectRequest,
    IntrospectResponse,
    introspection_client::IntrospectionClient,
    introspection_server::{Introspection, IntrospectionServer},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    service::LayerExt as _,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

use super::{Guard, token, with_scope};
use crate::{
    clock::{Clock, Timestamp},
    forge::{self, NOW, signed, verifier},
    issuer::{KeySource, TrustedIssuer},
    verify::{AcceptedAudiences, Audience, Issuer, KeySet, Requirement, Verifier},
};

/// The key under each of `kids`; `None` when there are no keys at all.
fn keys(kids: Option<&[&str]>) -> Option<Arc<KeySet>> {
    kids.map(forge::keys)
}

#[derive(Debug)]
struct Keys {
    held: Option<Arc<KeySet>>,
    newer: Option<Arc<KeySet>>,
}

impl KeySource for Keys {
    fn held(&self) -> Option<Arc<KeySet>> {
        self.held.clone()
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(async { self.newer.clone() })
    }
}

#[derive(Debug)]
struct At(i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn guard(held: Option<&[&str]>, newer: Option<&[&str]>) -> Guard {
    let keys = Arc::new(Keys { held: keys(held), newer: keys(newer) });
    Guard::new(TrustedIssuer::new(verifier(), keys, Arc::new(At(NOW))))
}

/// Answers who called; its second method needs the scope `write`.
struct Service;

#[tonic::async_trait]
impl Introspection for Service {
    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        let sub = token(&request)?.claims().sub.to_string();
        let claims = WireClaims { sub, ..WireClaims::default() };
        Ok(Response::new(IntrospectResponse { active: true, claims: Some(claims) }))
    }

    async fn batch_introspect(
        &self,
        request: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        with_scope(&request, "write")?;
        Ok(Response::new(BatchIntrospectResponse::default()))
    }
}

struct Client(IntrospectionClient<Channel>);

/// A client of the service behind `guard`, or behind none.
async fn client_of(guard: Option<Guard>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (mut server, service) = (Server::builder(), IntrospectionServer::new(Service));
    let router = match guard {
        Some(guard) => server.add_service(guard.named_layer(service)),
        None => server.add_service(service),
    };
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    Client(IntrospectionClient::new(Endpoint::from_shared(url).unwrap().connect_lazy()))
}

/// A client of the service behind the interceptor of `guard`.
async fn client_of_intercepted(guard: Guard) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = IntrospectionServer::with_interceptor(Service, guard);
    let router = Server::builder().add_service(service);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    Client(IntrospectionClient::new(Endpoint::from_shared(url).unwrap().connect_lazy()))
}

impl Client {
    /// Whom the service takes for the caller, with those `authorization` entries.
    async fn who(&self, authorization: &[&str]) -> Result<String, (Code, String)> {
        let request = with(authorization, IntrospectRequest::default());
        let answer = self.0.clone().introspect(request).await.map_err(|status| said(&status))?;
        Ok(answer.into_inner().claims.unwrap().sub)
    }

    async fn write(&self, authorization: &[&str]) -> Result<(), (Code, String)> {
        let request = with(authorization, BatchIntrospectRequest::default());
        self.0.clone().batch_introspect(request).await.map(drop).map_err(|status| said(&status))
    }
}

fn with<M>(authorization: &[&str], message: M) -> Request<M> {
    let mut request = Request::new(message);
    for value in authorization {
        request.metadata_mut().append("authorization", value.parse().unwrap());
    }
    request
}

fn said(status: &Status) -> (Code, String) {
    (status.code(), status.message().to_owned())
}

fn unauthenticated<T>(message: &str) -> Result<T, (Code, String)> {
    Err((Code::Unauthenticated, message.to_owned()))
}

#[tokio::test]
async fn a_live_token_reaches_the_handler() {
    let client = client_of(Some(guard(Some(&["1"]), None))).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let authorization = format!("{scheme} {}", signed("1", &json!({})));
        assert_eq!(client.who(&[&authorization]).await, Ok("somebody".into()));
    }
}

#[tokio::test]
async fn exactly_one_bearer_token_is_needed() {
    let client = client_of(Some(guard(Some(&["1"]), None))).await;
    let good = format!("Bearer {}", signed("1", &json!({})));
    assert_eq!(client.who(&[]).await, unauthenticated("An access token is required"));
    assert_eq!(client.who(&["Basic YTpi"]).await, unauthenticated("An access token is required"));
    let several = unauthenticated("The call has more than one access token; send exactly one");
    assert_eq!(client.who(&[&good, &good]).await, several);
}

#[tokio::test]
async fn every_invalid_token_gets_the_same_answer() {
    let client = client_of(Some(guard(Some(&["1"]), None))).await;
    let good = signed("1", &json!({}));
    let other = signed("1", &json!({ "sub": "admin" }));
    let forged = format!("{}.{}", other.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    for token in [
        String::new(),
        "garbage".into(),
        "x".repeat(9_000),
        forged,
        signed("2", &json!({})),
        signed("1", &json!({ "aud": "other" })),
        signed("1", &json!({ "iss": "http://issuer/" })),
        signed("1", &json!({ "nbf": NOW + 1 })),
        signed("1", &json!({ "exp": null })),
    ] {
        let answer = client.who(&[&format!("Bearer {token}")]).await;
        assert_eq!(answer, unauthenticated("The token is invalid"), "{token:.40}");
    }
}

#[tokio::test]
async fn expired_and_refresh_tokens_have_their_own_answers() {
    let client = client_of(Some(guard(Some(&["1"]), None))).await;
    let expired = format!("Bearer {}", signed("1", &json!({ "exp": NOW })));
    assert_eq!(client.who(&[&expired]).await, unauthenticated("The token has expired"));
    assert_eq!(client.who(&["Bearer rt_x"]).await, unauthenticated("Only access tokens are accepted"));
}

#[tokio::test]
async fn a_missing_scope_is_permission_denied() {
    let client =
        client_of(Some(guard(Some(&["1"]), None).requiring(Requirement::live().scope("read")))).await;
    let reader = format!("Bearer {}", signed("1", &json!({ "scope": "read" })));
    let writer = format!("Bearer {}", signed("1", &json!({ "scope": "write" })));
    let both = format!("Bearer {}", signed("1", &json!({})));
    let lacks = |scope| Err((Code::PermissionDenied, format!("The token lacks the scope {scope}")));
    assert_eq!(client.who(&[&reader]).await, Ok("somebody".into()));
    assert_eq!(client.who(&[&writer]).await, lacks("read"));
    assert_eq!(client.write(&[&reader]).await, lacks("write").map(|_: String| ()));
    assert_eq!(client.write(&[&both]).await, Ok(()));
}

#[tokio::test]
async fn without_any_keys_the_service_is_unavailable_and_heals() {
    let token = format!("Bearer {}", signed("1", &json!({})));
    let keyless = client_of(Some(guard(None, None))).await;
    let unavailable =
        (Code::Unavailable, "The issuer's keys have not been reached yet; try again".to_owned());
    assert_eq!(keyless.who(&[&token]).await, Err(unavailable));
    assert_eq!(keyless.who(&[]).await, unauthenticated("An access token is required"));
    let healed = client_of(Some(guard(None, Some(&["1"])))).await;
    assert_eq!(healed.who(&[&token]).await, Ok("somebody".into()));
}

#[tokio::test]
async fn a_token_with_a_new_key_waits_for_the_key() {
    let client = client_of(Some(guard(Some(&["old"]), Some(&["old", "new"])))).await;
    let token = format!("Bearer {}", signed("new", &json!({})));
    assert_eq!(client.who(&[&token]).await, Ok("somebody".into()));
}

#[tokio::test]
async fn a_handler_without_a_guard_lets_nobody_in() {
    let client = client_of(None).await;
    let token = format!("Bearer {}", signed("1", &json!({})));
    assert_eq!(client.who(&[&token]).await, unauthenticated("An access token is required"));
    assert_eq!(client.write(&[&token]).await, unauthenticated("An access token is required"));
}

#[tokio::test]
async fn a_guard_asks_scopes_roles_and_ages_of_every_call() {
    let requirement = Requirement::live().scope("write").role("editor").max_age(Duration::from_mins(5));
    let client = client_of(Some(guard(Some(&["1"]), None).requiring(requirement))).await;
    let who = async |change: &Value| client.who(&[&format!("Bearer {}", signed("1", change))]).await;
    let whole = json!({ "roles": ["editor"], "auth_time": NOW - 300 });
    assert_eq!(who(&whole).await, Ok("somebody".into()));
    let denied = |message: &str| Err((Code::PermissionDenied, message.to_owned()));
    let other = json!({ "roles": ["reader"], "auth_time": NOW - 300 });
    assert_eq!(who(&other).await, denied("The role editor is required"));
    let other = json!({ "roles": ["editor"], "auth_time": NOW - 300, "scope": "read" });
    assert_eq!(who(&other).await, denied("The token lacks the scope write"));
    let old = json!({ "roles": ["editor"], "auth_time": NOW - 301 });
    assert_eq!(who(&old).await, unauthenticated("A more recent login is required"));
}

#[tokio::test]
async fn an_interceptor_has_the_same_policy_and_waits_for_nothing() {
    let client = client_of_intercepted(
        guard(Some(&["1"]), Some(&["1", "2"])).requiring(Requirement::live().scope("read")),
    )
    .await;
    let bearer = |kid: &str, change: &Value| format!("Bearer {}", signed(kid, change));
    assert_eq!(client.who(&[&bearer("1", &json!({}))]).await, Ok("somebody".into()));
    assert_eq!(client.who(&[]).await, unauthenticated("An access token is required"));
    let expired = bearer("1", &json!({ "exp": NOW }));
    assert_eq!(client.who(&[&expired]).await, unauthenticated("The token has expired"));
    let lacking = client.who(&[&bearer("1", &json!({ "scope": "write" }))]).await;
    assert_eq!(lacking, Err((Code::PermissionDenied, "The token lacks the scope read".into())));
    // The layer would fetch that key.
    assert_eq!(client.who(&[&bearer("2", &json!({}))]).await, unauthenticated("The token is invalid"));
    let client = client_of_intercepted(guard(None, None)).await;
    let unavailable = client.who(&[&bearer("1", &json!({}))]).await;
    assert_eq!(unavailable.map_err(|(code, _)| code), Err(Code::Unavailable));
}

#[tokio::test]
async fn each_of_several_issuers_is_verified_by_its_own_keys() {
    let other = Verifier::new(
        Issuer::new("http://other"),
        AcceptedAudiences::AnyOf(vec![Audience::new("documents")]),
    );
    let keys = Arc::new(Keys { held: keys(Some(&["2"])), newer: None });
    let both = guard(Some(&["1"]), None).trust_also(TrustedIssuer::new(other, keys, Arc::new(At(NOW))));
    let client = client_of(Some(both)).await;
    let who = async |kid: &str, iss: &str| {
        client.who(&[&format!("Bearer {}", signed(kid, &json!({ "iss": iss })))]).await
    };
    assert_eq!(who("1", "http://issuer").await, Ok("somebody".into()));
    assert_eq!(who("2", "http://other").await, Ok("somebody".into()));
    for (kid, iss) in [("2", "http://issuer"), ("1", "http://other"), ("1", "http://third")] {
        assert_eq!(who(kid, iss).await, unauthenticated("The token is invalid"));
    }
}

#[test]
fn a_method_asks_more_than_the_rest_by_the_same_rules() {
    let guard = guard(Some(&["1"]), None);
    let mut request = Request::new(());
    let method = Requirement::live().scope("write").role("editor");
    let refused =
        |request: &Request<()>| guard.check(request, &method).map(drop).map_err(|status| status.code());
    assert_eq!(refused(&request), Err(Code::Unauthenticated), "it came through no guard");
    for (roles, expected) in [(json!([]), Err(Code::PermissionDenied)), (json!(["editor"]), Ok(()))] {
        let bearer = format!("Bearer {}", signed("1", &json!({ "roles": roles })));
        let mut metadata = HeaderMap::new();
        metadata.insert(AUTHORIZATION, bearer.parse().unwrap());
        request.extensions_mut().insert(guard.verify_at_hand(&metadata).unwrap());
        assert_eq!(refused(&request), expected);
    }
}

#[cfg(all(feature = "watch", feature = "http", feature = "test-util"))]
#[tokio::test]
async fn a_guard_is_one_line_for_an_issuer_and_its_audience() {
    let issuer = crate::testing::TestIssuer::new();
    issuer.clock().set(crate::clock::SystemClock::new().now());
    let served = crate::testing::ServedIssuer::start(issuer).await.unwrap();
    let client = client_of(Some(Guard::for_issuer(served.issuer().url(), "test").unwrap())).await;
    let bearer = |token: String| format!("Bearer {token}");
    let good = bearer(served.issuer().token("alice").sign());
    assert_eq!(client.who(&[&good]).await, Ok("alice".to_owned()));
    let other = bearer(served.issuer().token("alice").claim("aud", "other").sign());
    assert_eq!(client.who(&[&other]).await, unauthenticated("The token is invalid"));
    assert!(Guard::for_issuer("ftp://issuer", "test").is_err());
}
