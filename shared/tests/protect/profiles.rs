//! Every interface renders refusals as its guard is configured: in this crate's own form, as Flask-JWT-Extended does,
//! or with the service's own renderer.

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use countermark::{
    http::{
        AccessToken, ClosedRouter, Context, CurrentUser, ErrorAnswer, Guard, LoadUser, RequireToken,
        TriedToken,
    },
    testing::TestIssuer,
    verify::{AuthError, Requirement, StalePolicy, VerifiedToken},
};

use crate::{
    ask,
    stale::{stale, without_keys},
};

/// A renderer of a service that sets no `Retry-After`.
fn own(refusal: &AuthError, _: &Context<'_>) -> Response {
    let status = ErrorAnswer::of(refusal, "").status();
    (if status.is_server_error() { StatusCode::SERVICE_UNAVAILABLE } else { status }, "own").into_response()
}

/// The guard in each error profile.
fn profiles(guard: &Guard) -> [Guard; 3] {
    [guard.clone(), guard.clone().flask_jwt_extended(), guard.clone().with_renderer(own)]
}

struct Anybody;

impl LoadUser<Guard> for Anybody {
    async fn load(_: &VerifiedToken, _: &Guard) -> Result<Option<Self>, countermark::http::ErrorAnswer> {
        Ok(Some(Self))
    }
}

/// Every way to require a token in axum, each at a path of its own.
fn interfaces(guard: &Guard) -> Router {
    let layer = RequireToken::new(guard.clone(), Requirement::live());
    let closed: Router<Guard> =
        ClosedRouter::new(guard.clone()).route("/closed", get(async || "in")).into_router();
    Router::new()
        .route("/layer", get(async || "in").layer(layer.clone()))
        .route("/optional-layer", get(async || "in").layer(layer.optional()))
        .route("/extractor", get(async |_: AccessToken| "in"))
        .route("/optional", get(async |_: Option<AccessToken>| "in"))
        .route("/tried", get(async |_: TriedToken| "in"))
        .route("/user", get(async |_: CurrentUser<Anybody>| "in"))
        .merge(closed)
        .with_state(guard.clone())
}

const INTERFACES: [&str; 7] =
    ["/layer", "/optional-layer", "/extractor", "/optional", "/tried", "/user", "/closed"];

#[tokio::test]
async fn what_cannot_be_verified_now_is_503_with_retry_after_in_every_profile_at_every_interface() {
    let issuer = TestIssuer::new();
    let token = issuer.token("alice").sign();
    for guard in [stale(&issuer, StalePolicy::Deny), without_keys(&issuer)] {
        for (profile, guard) in profiles(&guard).iter().enumerate() {
            for interface in INTERFACES {
                let answer = ask::get(interface).bearer(&token).of(&interfaces(guard)).await;
                assert_eq!(answer.status, 503, "{interface} in profile {profile}: {answer:?}");
                assert_eq!(
                    answer.headers["retry-after"], "1",
                    "{interface} in profile {profile}: {answer:?}"
                );
                assert_eq!(answer.challenge(), "", "{interface} in profile {profile}");
            }
        }
    }
}

#[tokio::test]
async fn what_another_token_would_mend_has_no_retry_after() {
    let issuer = TestIssuer::new();
    for guard in profiles(&issuer.guard()) {
        for ask in [ask::get("/extractor"), ask::get("/extractor").bearer("x")] {
            let answer = ask.of(&interfaces(&guard)).await;
            assert!((400..500).contains(&answer.status), "{answer:?}");
            assert!(!answer.headers.contains_key("retry-after"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_renderer_says_itself_when_to_come_back() {
    let renderer = |_: &AuthError, _: &Context<'_>| {
        (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "30")], "later").into_response()
    };
    let issuer = TestIssuer::new();
    let guard = stale(&issuer, StalePolicy::Deny).with_renderer(renderer);
    let answer = ask::get("/extractor").bearer(issuer.token("alice").sign()).of(&interfaces(&guard)).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.get_all("retry-after").iter().eq(["30"]), "{answer:?}");
}

#[cfg(feature = "forward-auth")]
mod forward_auth {
    use countermark::forward_auth::{ForwardAuth, Rules, http};
    use serde_json::json;

    use super::*;

    const RULES: &str = "[[rules]]\npath = \"/open\"\naccess = \"public\"\n";

    #[tokio::test]
    async fn a_proxy_is_answered_503_with_retry_after_in_every_profile() {
        let issuer = TestIssuer::new();
        let token = issuer.token("alice").sign();
        for guard in [stale(&issuer, StalePolicy::Deny), without_keys(&issuer)].iter().flat_map(profiles) {
            let answer = ask::get("/auth").bearer(&token).of(&http::router(ForwardAuth::new(guard))).await;
            assert_eq!(answer.status, 503, "{answer:?}");
            assert_eq!(answer.headers["retry-after"], "1", "{answer:?}");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }

    #[tokio::test]
    async fn a_proxy_is_answered_in_the_guards_own_way() {
        let issuer = TestIssuer::new();
        let [contract, flask, own] =
            profiles(&issuer.guard()).map(|guard| http::router(ForwardAuth::new(guard)));
        let question = || ask::get("/auth?role=admin").bearer(issuer.token("alice").sign());
        for router in [&contract, &flask, &own] {
            let admin = issuer.token("alice").role("admin").sign();
            assert_eq!(ask::get("/auth?role=admin").bearer(admin).of(router).await.status, 200);
        }

        ask::get("/auth").of(&contract).await.refuses(401, "missing_token");
        ask::get("/auth").of(&flask).await.refuses_with(401, "Missing Authorization Header");
        ask::get("/auth").bearer("a.b.c").of(&contract).await.refuses(401, "invalid_token");
        ask::get("/auth").bearer("foobarbaz").of(&flask).await.refuses_with(422, "Not enough segments");
        let expired = issuer.token("alice").expired().sign();
        ask::get("/auth").bearer(&expired).of(&flask).await.refuses_with(401, "Token has expired");
        question().of(&contract).await.refuses(403, "insufficient_scope");
        // The token has no roles. The refusal is this profile's form of our own error.
        question().of(&flask).await.refuses_with(403, "The role admin is required");
        let answer = ask::get("/auth").bearer(&expired).of(&own).await;
        assert_eq!((answer.status, answer.text()), (401, "own"));
    }

    #[tokio::test]
    async fn what_the_rules_and_the_question_refuse_is_said_alike_in_every_profile() {
        let issuer = TestIssuer::new();
        for guard in profiles(&issuer.guard()) {
            let plain = http::router(ForwardAuth::new(guard.clone()));
            ask::get("/auth?scopes=x").of(&plain).await.refuses(400, "invalid_request");
            let ruled = ForwardAuth::new(guard).with_rules(Rules::from_toml(RULES).unwrap());
            let answer = ask::get("/auth").of(&http::router(ruled)).await;
            let closed = json!({"error": "forbidden", "msg": "Nothing is open to you there"});
            assert_eq!((answer.status, answer.json()), (403, closed));
        }
    }

    #[cfg(feature = "ext-authz")]
    mod ext_authz {
        use countermark::forward_auth::ext_authz;
        use countermark_proto::envoy_auth_v3::{
            AttributeContext, CheckRequest, DeniedHttpResponse,
            attribute_context::{HttpRequest, Request},
            authorization_client::AuthorizationClient,
            check_response::HttpResponse,
        };
        use tonic::Code;

        use super::*;

        /// The answer that Envoy gets.
        async fn denied(guard: Guard, token: &str) -> (Code, DeniedHttpResponse) {
            let http = HttpRequest {
                method: "GET".into(),
                path: "/".into(),
                headers: [("authorization".to_owned(), format!("Bearer {token}").into_bytes())].into(),
                ..HttpRequest::default()
            };
            let request = Some(Request { http: Some(http) });
            let attributes = Some(AttributeContext { request, context_extensions: [].into() });
            let mut envoy = AuthorizationClient::new(ext_authz::router(ForwardAuth::new(guard)));
            let answer = envoy.check(CheckRequest { attributes }).await.unwrap().into_inner();
            match answer.http_response {
                Some(HttpResponse::DeniedResponse(denied)) => (answer.status.unwrap().code.into(), denied),
                other => panic!("{other:?}"),
            }
        }

        fn header<'d>(denied: &'d DeniedHttpResponse, name: &str) -> Option<&'d str> {
            let mut headers = denied.headers.iter().filter_map(|option| option.header.as_ref());
            headers.find(|header| header.key == name).map(|header| header.value.as_str())
        }

        #[tokio::test]
        async fn envoy_is_answered_503_with_retry_after_in_every_profile() {
            let issuer = TestIssuer::new();
            let token = issuer.token("alice").sign();
            for guard in [stale(&issuer, StalePolicy::Deny), without_keys(&issuer)].iter().flat_map(profiles)
            {
                let (code, denied) = denied(guard, &token).await;
                assert_eq!((code, denied.status.unwrap().code), (Code::Unavailable, 503));
                assert_eq!(header(&denied, "retry-after"), Some("1"), "{denied:?}");
            }
        }

        #[tokio::test]
        async fn envoy_is_answered_in_the_guards_own_way() {
            let issuer = TestIssuer::new();
            let [contract, flask, own] = profiles(&issuer.guard());
            let expired = issuer.token("alice").expired().sign();
            let answers = [
                (contract, 401, r#"{"error":"invalid_token","msg":"The token has expired"}"#),
                (flask, 401, r#"{"msg":"Token has expired"}"#),
                (own, 401, "own"),
            ];
            for (guard, status, body) in answers {
                let (code, denied) = denied(guard, &expired).await;
                let answer = (code, denied.status.unwrap().code, denied.body.as_str());
                assert_eq!(answer, (Code::Unauthenticated, status, body));
            }
            let (code, denied) = denied(issuer.guard().flask_jwt_extended(), "foobarbaz").await;
            assert_eq!((code, denied.status.unwrap().code), (Code::PermissionDenied, 422));
            assert_eq!(denied.body, r#"{"msg":"Not enough segments"}"#);
        }
    }
}
