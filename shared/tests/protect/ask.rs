//! Sends requests to a router without a network, and checks the answers.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method},
    routing::{MethodFilter, MethodRouter, on},
};
use countermark::{
    http::{AccessToken, Guard, Locations},
    testing::TestIssuer,
};
use serde_json::Value;
use tower::ServiceExt as _;

/// A request that is not sent yet.
#[derive(Debug)]
pub(crate) struct Ask(Request);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn get(uri: &str) -> Ask {
    ask(Method::GET, uri)
}

pub(crate) fn post(uri: &str) -> Ask {
    ask(Method::POST, uri)
}

pub(crate) fn ask(method: Method, uri: &str) -> Ask {
    Ask(Request::builder().method(method).uri(uri).body(Body::empty()).unwrap())
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.0.headers_mut().append(name, value.as_ref().parse().unwrap());
        self
    }

    pub(crate) fn bearer(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", format!("Bearer {}", token.as_ref()))
    }

    pub(crate) fn cookie(self, token: impl AsRef<str>) -> Self {
        self.header("cookie", format!("__Host-access_token={}", token.as_ref()))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(self, content_type: &'static str, body: impl Into<Body>) -> Self {
        let mut asked = self.header("content-type", content_type);
        *asked.0.body_mut() = body.into();
        asked
    }

    pub(crate) async fn of(self, router: &Router) -> Answer {
        let response = router.clone().oneshot(self.0).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn challenge(&self) -> &str {
        self.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
    }

    /// Expects 200 with `text` as the body.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert_eq!((self.status, self.text()), (200, text), "{self:?}");
    }

    /// Expects a refusal in this crate's own form, with this status and error code.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.json()["error"], error, "{self:?}");
    }

    /// Expects a refusal in the form of Flask-JWT-Extended: a body with `msg` only, and no challenge.
    #[track_caller]
    pub(crate) fn refuses_with(&self, status: u16, msg: &str) {
        assert_eq!((self.status, self.json()), (status, serde_json::json!({"msg": msg})), "{self:?}");
        assert_eq!(self.challenge(), "", "{self:?}");
    }
}

/// A router with one route at `/`.
pub(crate) fn router(guard: Guard, route: MethodRouter<Guard>) -> Router {
    Router::new().route("/", route).with_state(guard)
}

/// Answers with the token's subject and the location of the token.
pub(crate) async fn whoami(token: AccessToken) -> String {
    format!("{} by {}", token.sub, token.shown().location())
}

/// A router that answers with [`whoami`]. It finds tokens at `locations`, also in bodies.
pub(crate) fn at(issuer: &TestIssuer, locations: impl Into<Locations>) -> Router {
    let guard = issuer.guard().with_locations(locations);
    let bodies = countermark::http::BodyTokens::new(guard.clone(), 10_000);
    router(guard, on(MethodFilter::GET.or(MethodFilter::POST), whoami)).layer(bodies)
}
